"""Heads: what they add to a student, what they answer, and what trains in them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from autokd import catalog
from autokd.engine.build import build_student
from autokd.errors import ComponentError
from autokd.heads._simkd import bottleneck
from autokd.losses import simkd
from autokd.networks import cost
from autokd.networks.models import NetworkTeacher, as_output, seeded, shapes_of
from autokd.spec import make
from autokd.testing import HeadSuite
from autokd.types import BuildContext, Output, Shapes, Task

IMAGES = Task(dataset="images", modality="image", input_shape=(3, 16, 16), classes=tuple("abcde"), train_size=100)
TABLE = Task(dataset="rows", modality="table", input_shape=(6,), classes=tuple("abc"), train_size=100)
STUDENTS = [("cnn", {"layers": 2, "width": 8}), ("resnet", {"depth": 8, "width": 4}), ("mobilenet", {}), ("mlp", {})]


def network(name: str, task: Task, seed: int = 0, **fields: Any) -> nn.Module:
    """A network with batch statistics of its own."""
    with seeded(seed):
        made = build_student(make("students", name, fields), task)
        for _ in range(3):
            made(torch.randn(16, *task.input_shape))
    return made.eval()


def teacher_on(task: Task) -> NetworkTeacher:
    name = "resnet" if task is IMAGES else "mlp"
    fields = {"depth": 8, "width": 8} if task is IMAGES else {"width": 24}
    return NetworkTeacher([network(name, task, seed=1, **fields)], task, origin="test")


def headed(name: str, task: Task, teacher: NetworkTeacher, factor: int = 2, **fields: Any) -> Any:
    with seeded(2):
        return build_student(
            make("students", name, fields),
            task,
            head=make("heads", "simkd", {"factor": factor}),
            teacher=teacher.offers,
            teacher_head=teacher.head,
        )


def inputs_for(task: Task, count: int = 5) -> torch.Tensor:
    return torch.randn(count, *task.input_shape, generator=torch.Generator().manual_seed(3))


class TestHeads(HeadSuite):
    components = tuple(catalog.load("heads", name) for name in catalog.names("heads"))


def test_the_plain_head_is_the_student() -> None:
    student = network("cnn", IMAGES)
    assert make("heads", "plain", {}).build(BuildContext(task=IMAGES))(student) is student


@pytest.mark.parametrize(("name", "fields"), STUDENTS)
def test_students_answer_through_the_projector_and_the_teachers_classifier(name: str, fields: dict[str, Any]) -> None:
    teacher = teacher_on(IMAGES)
    student = headed(name, IMAGES, teacher, **fields).eval()
    inputs = inputs_for(IMAGES)
    output, bare = as_output(student(inputs)), shapes_of(network(name, IMAGES, **fields), IMAGES)
    assert output.logits.shape == (5, 5) and output.pooled is not None and output.pooled.shape == (5, 32)
    shapes = [tuple(feature.shape[1:]) for feature in output.features]
    assert shapes[:-1] == list(bare.features)
    side = min(4, (bare.features[-1][1:] or (1,))[0])
    assert shapes[-1] == (32, side, side)
    weight, bias = teacher.head or pytest.fail("the teacher has a head")
    assert bias is not None
    expected = output.features[-1].mean((2, 3)) @ weight.T + bias
    torch.testing.assert_close(output.logits, expected)


def test_tables_have_vectors() -> None:
    teacher = teacher_on(TABLE)
    output = headed("mlp", TABLE, teacher, width=12)(inputs_for(TABLE))
    assert [tuple(f.shape[1:]) for f in output.features] == [(12,), (12,), (24,)]
    assert output.pooled is output.features[-1]


@pytest.mark.parametrize("task", [IMAGES, TABLE], ids=lambda task: task.modality)
def test_a_student_that_projects_to_the_teachers_feature_answers_as_the_teacher_bit_for_bit(task: Task) -> None:
    teacher = teacher_on(task)
    student = headed("cnn" if task is IMAGES else "mlp", task, teacher).eval()
    inputs = inputs_for(task)
    answer = teacher.predict(inputs)
    own = student.student(inputs)
    wrong = own.logits.argmax(-1)  # what a classifier of the student's own would say

    class Perfect(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            feature = answer.features[-1]
            return feature if feature.ndim == 4 else feature[:, :, None, None]

    student.projector = Perfect()
    output = student(inputs)
    assert torch.equal(output.logits, answer.logits)
    assert simkd(output.features[-1], answer.features[-1]).eq(0).all()
    assert not torch.equal(wrong, answer.logits.argmax(-1))


def test_published_size_of_the_projector() -> None:
    projector = bottleneck(256, 256, 2)
    convolutions = sum(p.numel() for m in projector if isinstance(m, nn.Conv2d) for p in m.parameters())
    assert (convolutions, cost.params(projector)) == (212_992, 214_016)
    assert [type(layer).__name__ for layer in projector] == ["Conv2d", "BatchNorm2d", "ReLU"] * 3
    assert [layer.kernel_size for layer in projector if isinstance(layer, nn.Conv2d)] == [(1, 1), (3, 3), (1, 1)]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_cost_counts_projector_and_classifier_in_place_of_the_students_own(factor: int) -> None:
    teacher = teacher_on(IMAGES)
    component, head = make("students", "cnn", {"layers": 2, "width": 8}), make("heads", "simkd", {"factor": factor})
    bare, whole = cost.student_cost(component, IMAGES), cost.student_cost(component, IMAGES, head, teacher.offers)
    between = 32 // factor
    weights = 16 * between + 9 * between**2 + 32 * between
    norms = 2 * (2 * between + 32)
    assert whole.params == bare.params - (16 * 5 + 5) + weights + norms + (32 * 5 + 5)
    assert whole.macs == bare.macs - 16 * 5 + 4 * 4 * weights + 32 * 5 + pooling_macs(8, 4, 16)
    student = headed("cnn", IMAGES, teacher, factor, layers=2, width=8)
    assert (cost.params(student), cost.macs(student, IMAGES), cost.size_bytes(student)) == whole
    assert cost.student_cost(component, IMAGES, make("heads", "plain", {}), teacher.offers) == bare


def pooling_macs(before: int, after: int, channels: int) -> int:
    """Whole cells are averaged without a matrix product."""
    return 0 if before % after == 0 else channels * before * after * (before + after)


def test_the_classifier_is_the_teachers_and_frozen_and_the_rest_trains() -> None:
    teacher = teacher_on(IMAGES)
    student = headed("resnet", IMAGES, teacher, depth=8, width=4).train()
    weight, bias = teacher.head or pytest.fail("the teacher has a head")
    assert bias is not None
    assert torch.equal(student.classifier.weight, weight) and torch.equal(student.classifier.bias, bias)
    assert student.classifier.weight is not weight
    output = student(inputs_for(IMAGES))
    (output.logits.square().sum() + output.features[-1].sum()).backward()
    frozen = {name for name, p in student.named_parameters() if not p.requires_grad}
    assert frozen == {"classifier.weight", "classifier.bias"}
    assert {name for name, p in student.named_parameters() if p.grad is None} == frozen
    assert not [name for name in student.state_dict() if name.startswith("student.fc")]


def test_without_the_teachers_weights_the_form_is_the_same() -> None:
    teacher = teacher_on(IMAGES)
    with seeded(0):
        form = build_student(
            make("students", "cnn", {}), IMAGES, head=make("heads", "simkd", {}), teacher=teacher.offers
        )
    student = headed("cnn", IMAGES, teacher)
    form.load_state_dict(student.state_dict())
    inputs = inputs_for(IMAGES)
    assert torch.equal(form.eval()(inputs).logits, student.eval()(inputs).logits)


@pytest.mark.parametrize("offers", [None, Shapes(), Shapes(((4, 8, 8),), 4)])
def test_a_teacher_without_a_head_is_refused(offers: Shapes | None) -> None:
    with pytest.raises(ComponentError, match="head 'simkd' needs a teacher"):
        make("heads", "simkd", {}).build(BuildContext(task=IMAGES, teacher=offers))


def test_a_student_without_features_is_refused() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :5]

    wrap = make("heads", "simkd", {}).build(BuildContext(task=IMAGES, teacher=teacher_on(IMAGES).offers))
    with pytest.raises(ComponentError, match="the student offers none"):
        wrap(Net())


class Teaching(nn.Module):
    """A network whose classifier reads its last map after a change."""

    def __init__(self, change: nn.Module, hidden: int = 0) -> None:
        super().__init__()
        self.body, self.change = nn.Conv2d(3, 6, 3), change
        self.hidden = nn.Linear(6, hidden) if hidden else nn.Identity()
        self.fc = nn.Linear(hidden or 6, 5, bias=not hidden)

    def forward(self, x: torch.Tensor) -> Output:
        x = self.body(x)
        pooled = self.hidden(self.change(x).mean((2, 3)))
        return Output(self.fc(pooled), (x,), pooled)


@pytest.mark.parametrize(
    ("module", "offered"),
    [
        (Teaching(nn.Identity()), True),
        (Teaching(nn.ReLU()), False),  # the feature is taken before the last activation, as in some pre-activation nets
        (Teaching(nn.Identity(), hidden=7), False),
        (Teaching(nn.Identity(), hidden=6), False),
    ],
)
def test_a_teacher_offers_its_head_where_logits_are_the_classifier_of_the_last_features_mean(
    module: nn.Module, offered: bool
) -> None:
    teacher = NetworkTeacher([module], IMAGES, origin="test")
    assert teacher.offers.head is offered and (teacher.head is not None) is offered


def test_an_ensemble_offers_no_head() -> None:
    teacher = NetworkTeacher([network("cnn", IMAGES, seed) for seed in (0, 1)], IMAGES, origin="test")
    assert teacher.head is None and not teacher.offers.head


def test_simkd_is_the_mean_square_at_the_smaller_size() -> None:
    student = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[0.0, 0.0], [0.0, 2.0]]]])  # [2, 1, 2, 2]
    teacher = torch.tensor([[[[1.0, 0.0], [3.0, 2.0]]], [[[0.0, 0.0], [0.0, 2.0]]]])
    assert simkd(student, teacher).tolist() == [2.0, 0.0]  # (0 + 4 + 0 + 4) / 4
    assert simkd(student, torch.tensor([[[[1.5]]], [[[1.0]]]])).tolist() == [1.0, 0.25]  # means 2.5 and 0.5
    assert simkd(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])).tolist() == [2.5]


def test_the_loss_without_its_head_is_refused() -> None:
    context = BuildContext(task=IMAGES, student=Shapes(((4, 8, 8),)), teacher=Shapes(((6, 8, 8),)))
    with pytest.raises(ComponentError, match="has 4 and the teacher's 6; use it with head: simkd"):
        make("losses", "simkd", {}).build(context)
