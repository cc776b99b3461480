"""The teacher cut down: what stays computes as the teacher does, and what goes is what the papers say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from autokd import compat
from autokd.batching import single
from autokd.data import Dataset
from autokd.delivery.bundle import load_student
from autokd.delivery.full_training import Given, train
from autokd.delivery.teller import Listeners
from autokd.engine.build import build_run
from autokd.engine.context import TrainContext
from autokd.engine.prepare import prepare_artefacts
from autokd.errors import ComponentError, TeacherError
from autokd.metrics import accuracy, predictions
from autokd.networks.blocks import find_blocks, leave_out
from autokd.networks.channels import Channels, find_channels, magnitude, prune, taylor
from autokd.networks.cost import params, student_cost
from autokd.networks.ensemble import EnsembleTeacher
from autokd.networks.models import NetworkTeacher, as_output, seeded
from autokd.networks.reference import load_teacher
from autokd.networks.remade import copied, remake
from autokd.space import Space, parse
from autokd.spec import PipelineSpec, make
from autokd.types import BuildContext, PrepareContext, Task, Teacher
from tests.delivery.helpers import pipeline_for
from tests.engine.helpers import context, pipeline

CPU = torch.device("cpu")
COLOUR = Task(
    dataset="none",
    modality="image",
    input_shape=(3, 32, 32),
    classes=tuple("abcdefghij"),
    train_size=100,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
)


def random_weights(network: nn.Module) -> Any:
    """Give a network weights and statistics of which none are alike, as a trained one has."""
    with seeded(5), torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape) if "var" in name else 0.1 * torch.randn(tensor.shape))
    return network.eval()


def teacher_of(name: str, task: Task, folder: Path, **given: Any) -> Teacher:
    """A teacher of this name, loaded from a file."""
    torch.save(random_weights(remake(name, task).network).state_dict(), folder / "teacher.pt")
    return load_teacher(f"{name}@{folder / 'teacher.pt'}", task, given)


def cut(network: str, **fields: Any) -> Any:
    return make("students", "cut_teacher", {"network": network, **fields})


def started(where: TrainContext, student: Any) -> nn.Module:
    """The network of a student as training begins."""
    spec = pipeline(student=student)
    list(prepare_artefacts(where, spec))
    return build_run(where, spec, len(where.data.train)).networks["student"].network.eval()


def inputs_of(task: Task) -> Tensor:
    return torch.randn(4, *task.input_shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["resnet:depth=8,width=8", "resnet:depth=8,width=8,mean=0.3,std=0.7,input_size=16"])
def test_uncut_it_answers_as_the_teacher_does(name: str, digits: Dataset, tmp_path: Path) -> None:
    teacher = teacher_of(name, digits.task, tmp_path)
    student = started(context(digits, teacher), cut(teacher.offers.network, depth=100, width=100))
    student.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as the teacher's: to the bit
    inputs = inputs_of(digits.task)
    ours, theirs = as_output(student(inputs)), teacher.predict(inputs)
    assert torch.equal(ours.logits, theirs.logits) and len(ours.features) == len(theirs.features) == 3
    assert all(torch.equal(one, other) for one, other in zip(ours.features, theirs.features, strict=True))


def test_of_a_teacher_of_more_classes_the_rows_of_the_datas_are_kept(digits: Dataset, tmp_path: Path) -> None:
    names = tuple(reversed([*digits.task.classes, "ten", "eleven"]))
    own = dataclasses.replace(digits.task, classes=names)
    torch.save(random_weights(remake("resnet8", own).network).state_dict(), tmp_path / "t.pt")
    teacher = load_teacher(f"resnet8@{tmp_path / 't.pt'}", digits.task, {"classes": names})
    student = started(context(digits, teacher), cut(teacher.offers.network, depth=100, width=100))
    inputs = inputs_of(digits.task)
    torch.testing.assert_close(as_output(student(inputs)).logits, teacher.predict(inputs).logits)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("resnet:depth=20", 0.33),
        ("mobilenet:width=8", 0.3),
        ("timm:test_vit:img_size=32,mean=0.5,std=0.5", 0.38),
        ("timm:test_convnext", 0.37),
        ("torchvision:mobilenet_v3_small", 0.23),
    ],
)
def test_parameters_are_counted_without_a_teacher_as_they_are(name: str, share: float) -> None:
    whole, half = (cut(name, depth=share, width=share) for share in (100, 50))
    with seeded(0):
        network = half.build(BuildContext(task=COLOUR)).eval()
    cost = student_cost(half, COLOUR)
    assert cost.params == params(network)
    assert cost.params / student_cost(whole, COLOUR).params == pytest.approx(share, abs=0.02)
    output = as_output(network(inputs_of(COLOUR)))
    assert output.logits.shape == (4, 10) and output.features


def test_blocks_and_channels_are_the_teachers_own(digits: Dataset, tmp_path: Path) -> None:
    """By hand: of 3 blocks a stage 2 stay, the first and the last; of 8 inner channels the 4 of the largest filters."""
    teacher = teacher_of("resnet:depth=20,width=8", digits.task, tmp_path)
    student: Any = started(context(digits, teacher), cut(teacher.offers.network, depth=75, width=50))
    assert isinstance(teacher, NetworkTeacher) and teacher.frozen is not None
    theirs: Any = teacher.frozen.network
    assert [len(stage) for stage in (student.layer1, student.layer2, student.layer3)] == [2, 2, 2]
    for ours, own in ((student.layer1[0], theirs.layer1[0]), (student.layer1[1], theirs.layer1[2])):
        kept = own.conv1.weight.abs().sum((1, 2, 3)).topk(4).indices.sort().values
        assert torch.equal(ours.conv1.weight, own.conv1.weight[kept])
        assert torch.equal(ours.bn1.running_var, own.bn1.running_var[kept])
        assert torch.equal(ours.conv2.weight, own.conv2.weight[:, kept])
    assert torch.equal(student.fc.weight, theirs.fc.weight), "what runs along the residual connections stays"


TINY: Any = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 2))
with torch.no_grad():
    TINY[0].weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
    TINY[0].bias.zero_()
    TINY[2].weight.copy_(torch.tensor([[4.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    TINY[2].bias.zero_()


def channels_of_tiny() -> list[Channels]:
    return find_channels(TINY, torch.tensor([[1.0], [2.0]]), [])


def test_magnitude_is_the_sum_of_absolute_weights() -> None:
    (scores,) = magnitude(TINY, channels_of_tiny())
    assert scores.tolist() == [1.0, 2.0, 3.0]


def test_taylor_is_the_squared_effect_of_a_gate_and_orders_otherwise() -> None:
    """By hand, for x = 1: h = (1, 2, 3), z = (6, 5); of channel j the effect is h_j Σ_k W_kj (p_k − y_k)."""

    def losses(network: nn.Module) -> Any:
        yield cross_entropy(network(torch.tensor([[1.0]])), torch.tensor([0]))

    (scores,) = taylor(losses, TINY, channels_of_tiny())
    p = torch.tensor([6.0, 5.0]).softmax(0)[1]
    effects = torch.stack([1 * 4 * -p, 2 * (-p + p), 3 * p])
    torch.testing.assert_close(scores, effects.square())
    assert scores.argsort().tolist() == [1, 2, 0] != [0, 1, 2]


def test_a_pruned_network_is_the_one_whose_lost_channels_are_zero() -> None:
    network = random_weights(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    lost = network[0].weight.abs().sum(1).argsort()[:3]
    masked = network[2](network[1](network[0](inputs)).index_fill(1, lost, 0.0))
    prune(network, find_channels(network, inputs, []), 0.5, magnitude)
    assert network[0].out_features == 3
    torch.testing.assert_close(network(inputs), masked)


def test_heads_go_as_a_whole() -> None:
    timm = compat.import_module("timm", "timm")
    network: Any = random_weights(timm.create_model("test_vit", img_size=32, num_classes=3))
    inputs = inputs_of(COLOUR)
    blocks = find_blocks(network, inputs)
    before, heads = network.blocks[0].attn.qkv.weight.clone(), network.blocks[0].attn.num_heads
    leave_out(network, blocks, 0.5)
    prune(network, find_channels(network, inputs, blocks.paths(network)), 0.5, magnitude)
    attention = network.blocks[0].attn
    assert len(network.blocks) == 3 and (heads, attention.num_heads, attention.head_dim) == (2, 1, 32)
    rows = attention.qkv.weight
    (kept,) = [head for head in range(2) if torch.equal(rows[:32], before[32 * head :][:32])]
    assert torch.equal(rows[64:], before[128 + 32 * kept :][:32]), "its values are of the same head"
    assert network(inputs).shape == (4, 3)


def test_taylor_reads_labelled_training_samples_and_other_importances_make_other_students(
    digits: Dataset, tmp_path: Path
) -> None:
    teacher = teacher_of("resnet:depth=8,width=8", digits.task, tmp_path)
    where = context(digits, teacher)
    starts = {
        importance: started(where, cut(teacher.offers.network, depth=100, width=50, importance=importance))
        for importance in ("magnitude", "taylor", "none")
    }
    weights = [torch.cat([p.detach().flatten() for p in start.parameters()]) for start in starts.values()]
    assert not any(torch.equal(one, other) for one, other in zip(weights, [*weights[1:], weights[0]], strict=True))
    asked: list[Tensor] = []
    labels, inputs = digits.train.labels, digits.train.inputs
    prepared = PrepareContext(
        task=digits.task,
        labels=labels,
        labelled=torch.arange(len(labels)) < 20,
        reference=lambda rows, seed: torch.empty(0),
        network=lambda: copied(teacher),
        inputs=lambda rows: asked.append(rows) or single(inputs)[rows].float(),  # type: ignore[func-returns-value]
    )
    cut(teacher.offers.network, importance="taylor").prepare(prepared)
    assert torch.cat(asked).sort().values.tolist() == list(range(20)), "labelled samples of the training set, once"


SPACE = """
description: cut
student: {one_of: {cnn: {width: {int: [4, 8], step: 4}}, cut_teacher: {}}}
augment: {one_of: {none: {}}}
losses: {always: {ce: {}}, any_of: {at_most: 1, from: {kd: {}, hint: {}}}}
optimizer: {one_of: {sgd: {}}}
schedule: {one_of: {cosine: {}}}
batch_size: 32
"""


def students_of(space: Space) -> dict[str, str]:
    return {candidate.use: str(candidate.fixed.get("network")) for candidate in space.parts["student"].candidates}


def test_a_space_takes_the_teachers_network_or_says_why_it_leaves_the_student_out(
    digits: Dataset, tmp_path: Path
) -> None:
    teacher = teacher_of("resnet:depth=8,width=8", digits.task, tmp_path)
    space = parse(SPACE, "space")
    found = space.resolve(digits.task, teacher.offers)
    assert students_of(found)["cut_teacher"] == "resnet:depth=8,width=8" and not found.dropped
    assert found.params_of(found.complete({"student": {"use": "cut_teacher"}})) is not None
    (folder := tmp_path / "other").mkdir()
    both = EnsembleTeacher([teacher, teacher_of("cnn:width=4", digits.task, folder)])
    reasons = {
        "needs a teacher, there is none": (None, {}),
        "made again by its name": (both.offers, {}),
        r"has at least [\d,]+ params on this teacher, and the limit is 3,000": (teacher.offers, {"max_params": 3000}),
    }
    for reason, (offers, limits) in reasons.items():
        left = space.resolve(digits.task, offers, **limits)
        assert list(students_of(left)) == ["cnn"]
        assert any(re.search(reason, line) for line in left.dropped), left.dropped


@pytest.mark.parametrize("name", ["os:system:command=true", "timm:test_vit:checkpoint_path=x.pt", "timm:no_such"])
def test_a_name_in_a_file_runs_nothing_and_reads_no_weights(name: str) -> None:
    with pytest.raises((ComponentError, TeacherError), match=r"none of autokd's|without weights|no model"):
        cut(name).build(BuildContext(task=COLOUR))


def spec_of(student: Any, file_spec: PipelineSpec) -> PipelineSpec:
    losses = {"ce": make("losses", "ce", {})}
    return dataclasses.replace(file_spec, student=student, losses=losses)


def test_trained_in_parts_and_delivered_without_the_teacher(digits: Dataset, tmp_path: Path) -> None:
    teacher = teacher_of("resnet:depth=8,width=8", digits.task, tmp_path)
    file = pipeline_for(digits, epochs=2)
    student = cut(teacher.offers.network, width=50, importance="taylor")
    file = dataclasses.replace(file, spec=spec_of(student, file.spec))
    given = Given(digits, lambda reference, data: teacher)

    class Killed(Exception):
        pass

    def kill(line: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(file, tmp_path / "parts", given, device=CPU, listeners=Listeners(on_epoch=kill))
    resumed, whole = (train(file, tmp_path / name, given, device=CPU) for name in ("parts", "whole"))
    assert resumed["test"] == whole["test"] and resumed["curve"] == whole["curve"]
    states = [load_student(tmp_path / name).network.state_dict() for name in ("parts", "whole")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    (tmp_path / "teacher.pt").unlink()
    loaded, test = load_student(tmp_path / "whole"), digits.read_test()
    assert accuracy(predictions(loaded.logits(test.inputs), test.labels)) == whole["test"]["accuracy"]
    assert whole["params"] == params(loaded.network) < teacher.params


def test_a_student_cut_from_another_network_is_refused(digits: Dataset, tmp_path: Path) -> None:
    teacher = teacher_of("resnet:depth=8,width=8", digits.task, tmp_path)
    spec = pipeline(student=cut("resnet:depth=8,width=12"))
    with pytest.raises(ComponentError, match="cut from the network resnet:depth=8,width=12, and the teacher"):
        list(prepare_artefacts(context(digits, teacher), spec))
