"""Plain code of components: it computes what they compute."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog
from autokd.augments import batchwise
from autokd.engine.ema import RunningAverage
from autokd.errors import ComponentError
from autokd.exports.code import plain
from autokd.exports.code.parts import PROVIDED, WrittenLoss, write_loss, write_schedule, write_student
from autokd.exports.code.source import Code
from autokd.networks.models import seeded, shapes_of
from autokd.spec import make
from autokd.types import BuildContext, Output, Step, Task

TASK = Task(dataset="made up", modality="image", input_shape=(3, 16, 16), classes=tuple("abcdef"), train_size=60)
STUDENT = make("students", "cnn", {"width": 4}).build(BuildContext(task=TASK))
TEACHER = make("students", "resnet", {"width": 8, "depth": 8}).build(BuildContext(task=TASK))
ROWS = Task(
    dataset="rows", modality="table", input_shape=(9,), classes=tuple("abc"), train_size=60, groups=(1, 4, 1, 3)
)
CONTEXT = BuildContext(
    task=TASK, student=shapes_of(STUDENT, TASK), teacher=shapes_of(TEACHER, TASK)._replace(head=True), horizon_steps=10
)
REFUSED = {
    "attention_relation": "reads attention",
    "camkd": "reads the members of a step",
    "communication": "reads tokens",
    "crd": "its `build` does more than to make one module",
    "dml": "reads the answers of peer",
    "lelp": "needs what it prepares from the training set",
    "logit_adjusted": "needs what it prepares from the training set",
    "mi_alpha": "its `build` does more than to make one module",
    "ofa": "its source needs Term of autokd.types",
    "rdist": "reads tokens",
    "reviewkd": "its `build` does more than to make one module",
    "simkd": "use it with head: simkd",
    "uskd": "its source needs Shapes of autokd.types",
    "weighted_ce": "needs what it prepares from the training set",
}
"""Losses of the package that have no plain form, and what is said of each."""


def run(code: Code, task: Task = TASK) -> dict[str, Any]:
    """Execute written code."""
    own = {"Output": Output, "Step": Step, "INPUT_SHAPE": task.input_shape, "NUM_CLASSES": task.num_classes}
    scope: dict[str, Any] = {**own, "__name__": "written"}
    text = [*code.imports.values(), *(snippet.text for snippet in code.snippets.values())]
    exec("\n".join(["from __future__ import annotations", *text]), scope)
    assert "autokd" not in "\n".join(text)
    return scope


def step_at(u: float) -> Step:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, *TASK.input_shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        student, teacher = (network.double().eval()(inputs) for network in (STUDENT, TEACHER))
    targets = torch.rand(8, 6, generator=generator, dtype=torch.float64).softmax(-1)
    return Step(student, teacher, targets, torch.ones(8).double(), torch.arange(8), u)


def value_of(loss: WrittenLoss, scope: dict[str, Any], module: nn.Module | None, step: Step) -> Tensor:
    terms = {loss.key: module}
    names = {"student": step.student, "teacher": step.teacher, "targets": step.targets, "u": step.u}
    found: Tensor = eval(loss.value, {**scope, **names, "step": step, "terms": terms})
    return found


@pytest.mark.parametrize("name", [name for name in catalog.names("losses") if name not in REFUSED])
def test_a_loss_has_the_component_s_value_and_gradient(name: str) -> None:
    component, code = make("losses", name, {}), Code(PROVIDED)
    written = write_loss(code, "it", component, CONTEXT)
    assert written.weight == component.weight * component.declares.scale.value
    scope, term, module = run(code), component.build(CONTEXT), None
    if isinstance(term, nn.Module):
        module = eval(written.module, scope).double()
        module.load_state_dict(term.double().state_dict())
    for u in (0.01, 0.6):
        step = step_at(u)
        assert step.student.pooled is not None
        inputs = [step.student.logits, *step.student.features, step.student.pooled]
        for tensor in inputs:
            tensor.requires_grad_()
        with seeded(1):  # one of them draws noise
            expected = term(step)
        with seeded(1):
            found = value_of(written, scope, module, step)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
        assert found.shape == expected.shape and (found.ndim == 0) == written.scalar
        theirs, ours = (torch.autograd.grad(value.sum(), inputs, allow_unused=True) for value in (found, expected))
        assert any(gradient is not None for gradient in ours)
        torch.testing.assert_close(theirs, ours, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("kd", {"standardize": True}),
        ("tfkd", {"softening": "softmax"}),
        ("dkd", {"warmup": 0.0}),
        ("sp", {"stages": "all"}),
    ],
)
def test_the_fields_decide_what_is_written(name: str, fields: dict[str, Any]) -> None:
    component, code = make("losses", name, fields), Code(PROVIDED)
    written = write_loss(code, "it", component, CONTEXT)
    step = step_at(0.01)
    torch.testing.assert_close(value_of(written, run(code), None, step), component.build(CONTEXT)(step))


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_a_loss_without_a_plain_form_says_why(name: str, why: str) -> None:
    with pytest.raises(ComponentError) as error:
        write_loss(Code(PROVIDED), "it", make("losses", name, {}), CONTEXT)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_two_losses_with_helpers_of_one_name_keep_their_own() -> None:
    code, step = Code(PROVIDED), step_at(0.5)
    components = {name: make("losses", name, {}) for name in ("cka", "sp", "kd", "dist")}
    written = [write_loss(code, name, component, CONTEXT) for name, component in components.items()]
    names = [snippet.name for snippet in code.snippets.values()]
    assert len(set(names)) == len(names) and {"_similarities", "_similarities_of_sp"} <= set(names)
    scope = run(code)
    for loss in written:
        torch.testing.assert_close(value_of(loss, scope, None, step), components[loss.key].build(CONTEXT)(step))


KNOWN = {name: catalog.load("students", name).declares for name in catalog.names("students")}
STUDENTS = [name for name, declares in KNOWN.items() if not declares.family and declares.prepared_from is None]


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_has_the_component_s_weights_and_answers(name: str) -> None:
    component, code = make("students", name, {}), Code(PROVIDED)
    task = TASK if "image" in component.declares.modalities else ROWS
    made = write_student(code, component, task)
    with seeded(0):
        ours = component.build(BuildContext(task=task))
    with seeded(0):
        theirs = eval(made, run(code, task))
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    inputs = torch.randn(4, *task.input_shape)
    torch.testing.assert_close(theirs.eval()(inputs), ours.eval()(inputs))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("name", catalog.names("schedules"))
def test_a_schedule_has_the_component_s_factors(name: str) -> None:
    component, code = make("schedules", name, {}), Code(PROVIDED)
    factor = run(code).get(write_schedule(code, component, CONTEXT, "rate")) or run(code)["rate"]
    ours = component.build(CONTEXT)
    assert [factor(i / 50) for i in range(51)] == [ours(i / 50) for i in range(51)]


def test_a_crop_is_one_of_the_possible_crops() -> None:
    images = torch.arange(2 * 9.0).reshape(2, 1, 3, 3) + 1
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    crops = [padded[:, :, i : i + 3, j : j + 3] for i in range(3) for j in range(3)]
    possible = [crop if kept else crop.flip(3) for crop in crops for kept in (True, False)]
    seen = set()
    for _ in range(200):
        for i, image in enumerate(batchwise.crop_flip(images, 1, 1, flip=True)):
            seen |= {(i, k) for k, each in enumerate(possible) if torch.equal(each[i], image)}
            assert any(torch.equal(each[i], image) for each in possible)
    assert len(seen) == 36


def test_mixup_mixes_targets_as_it_mixes_samples() -> None:
    inputs, targets = torch.eye(6)[:, :, None, None].expand(6, 6, 4, 4), torch.eye(6)
    mixed, labels = batchwise.mixup(inputs, targets, 1.0)
    torch.testing.assert_close(mixed[:, :, 0, 0], labels)
    torch.testing.assert_close(labels.sum(1), torch.ones(6))


def test_cutmix_mixes_targets_by_area() -> None:
    inputs, targets = torch.eye(64)[:, :, None, None].expand(64, 64, 8, 8), torch.eye(64)
    mixed, labels = batchwise.cutmix(inputs, targets, 1.0, 0.5)
    torch.testing.assert_close(mixed.mean((2, 3)), labels)
    whole = float((labels.amax(1) == 1).float().mean())
    assert 0.3 < whole < 0.8 and set(mixed.unique().tolist()) == {0.0, 1.0}


def test_erasing_fills_rectangles_of_the_asked_area() -> None:
    images = torch.full((400, 1, 20, 20), 2.0)
    erased = batchwise.random_erasing(images, 0.5, 0.4, 0.3) != 2.0
    share = erased.float().mean((1, 2, 3))
    assert share.max() <= 0.46 and 0.4 < float((share > 0).float().mean()) < 0.6
    sides = erased.any(3).sum(2) * erased.any(2).sum(2)
    assert torch.equal(sides[:, 0], erased.sum((1, 2, 3)))


def test_the_running_average_is_the_engine_s() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    ours, theirs = RunningAverage(network, 0.3), plain.RunningAverage(network, 0.3)
    for samples in (4, 4, 3):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(5, 3))
        ours.update(samples)
        theirs.update(network, samples)
    torch.testing.assert_close(theirs.network.state_dict(), ours.network.state_dict())


def test_a_chain_of_weights_reads_as_numbers_do() -> None:
    code = Code(PROVIDED)
    loss = write_loss(code, "it", make("losses", "kd", {"temperature": 2.5}), CONTEXT)
    assert loss.value == "kd(student.logits, teacher.logits, temperature=2.5)"
    assert math.isclose(loss.weight, 1.0)
