"""A given teacher is tried before anything else: what it was trained on is taken or proposed, or it is refused."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autokd import batching, catalog
from autokd.data import Dataset, load
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.errors import TeacherError
from autokd.networks.fed import IMAGENET_MEAN, IMAGENET_STD
from autokd.teaching.checked import OPEN, Checked, Given, check
from autokd.types import BuildContext, Teacher

CPU = torch.device("cpu")
CLASSES = 10


class Levels(nn.Module):
    """Tells images apart by how bright they are, as a network that was trained on one kind of input.

    Args:
      mean, std: of that input.
      side: in pixels, of that input.
      outputs: the class that each output stands for.
      fixed: images of another side are an error, as for a network with a flat layer.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        side: int = 8,
        outputs: Sequence[int] = range(CLASSES),
        *,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        self.mean, self.std = (torch.tensor(each).reshape(1, -1, 1, 1) for each in (mean, std))
        self.pixels, self.fixed = side * side, fixed
        self.centres = nn.Parameter((torch.tensor(list(outputs)) + 0.5) / CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if self.fixed and x.shape[2] * x.shape[3] != self.pixels:
            raise RuntimeError("shapes cannot be multiplied")
        level = (x * self.std + self.mean).mean(1).sum((1, 2)) / self.pixels
        return -200 * (level[:, None] - self.centres).square()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Classes called w1 to w10, the higher the brighter; in the order of the text w10 comes second."""
    rng = np.random.default_rng(0)
    classes = np.arange(600) % CLASSES
    levels = (classes + 0.5 + rng.uniform(-0.4, 0.4, 600)) / CLASSES * 255
    images = np.clip(levels[:, None, None, None] + rng.normal(0, 8, (600, 8, 8, 3)), 0, 255).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load((images, [f"w{each + 1}" for each in classes]))


def natural(data: Dataset) -> list[int]:
    """What `Levels` calls the classes of the data, in their order."""
    return [int(name[1:]) - 1 for name in data.task.classes]


def given(network: nn.Module, data: Dataset, **fields: Any) -> Given:
    component = catalog.load("teachers", "module")(module=network, **fields)
    context = BuildContext(task=data.task)

    def build(changed: Mapping[str, Any]) -> Teacher:
        return dataclasses.replace(component, **changed).build(context)

    return Given(component, OPEN - fields.keys(), build)


def tried(network: nn.Module, data: Dataset, **fields: Any) -> Checked:
    return check(given(network, data, **fields), data, CPU, lambda done: None, 0.02)


def accuracy(found: Checked, data: Dataset) -> float:
    answers = predict_teacher(found.teacher, to_device(data.validation, data.task, CPU)).argmax(1)
    return float((answers == data.validation.labels).double().mean())


@pytest.mark.parametrize(
    ("mean", "std", "side"),
    [
        (IMAGENET_MEAN, IMAGENET_STD, 8),
        ((0.0,), (1 / 255,), 8),
        (IMAGENET_MEAN, IMAGENET_STD, 32),
    ],
)
def test_normalisation_and_size_are_found(
    mean: Sequence[float], std: Sequence[float], side: int, data: Dataset
) -> None:
    network = Levels(mean, std, side, natural(data))
    found = tried(network, data)
    assert accuracy(found, data) > 0.85
    assert {key: tuple(found.changed[key]) for key in ("mean", "std")} == {"mean": tuple(mean), "std": tuple(std)}
    assert found.changed.get("input_size", 8) == side
    assert len(found.remarks) == 1 and "interval of the gain" in found.remarks[0]
    assert f"fed {side} px" in found.line and "taken, since it is clearly better" in found.line


def test_what_is_right_is_left_alone(data: Dataset) -> None:
    network = Levels(data.task.mean, data.task.std, 8, natural(data))
    found = tried(network, data)
    assert (found.changed, found.remarks) == ({}, ())
    assert found.teacher.fingerprint == given(network, data).build({}).fingerprint
    assert "8 px, as the data have" in found.line and "(the data's)" in found.line and "training and" in found.line


def test_a_size_that_the_network_refuses_is_replaced(data: Dataset) -> None:
    found = tried(Levels(data.task.mean, data.task.std, 32, natural(data), fixed=True), data)
    assert dict(found.changed) == {"input_size": 32} and accuracy(found, data) > 0.85
    assert found.remarks == ("the teacher does not take samples of 8 px; they are resized to 32 px for it",)
    with pytest.raises(TeacherError, match=r"does not take this data's samples of shape \[3, 8, 8\]"):
        tried(Levels(side=33, outputs=natural(data), fixed=True), data)


def test_outputs_in_natural_order_are_found(data: Dataset) -> None:
    found = tried(Levels(data.task.mean, data.task.std), data)
    assert found.changed == {"classes": tuple(f"w{number}" for number in range(1, 11))}
    assert accuracy(found, data) > 0.85 and "taken in natural order (w1, w2, w3" in found.remarks[0]


SHUFFLED = [3, 7, 0, 9, 5, 1, 2, 8, 6, 4]


@pytest.mark.parametrize("named", [False, True])
def test_an_order_of_stored_predictions_is_found_where_nobody_names_them(
    data: Dataset, tmp_path: Path, named: bool
) -> None:
    order = SHUFFLED if not named else natural(data)
    scores = np.full((600, CLASSES), -1.0)
    scores[np.arange(600), np.argsort(order)[np.arange(600) % CLASSES]] = 2.0
    names: dict[str, Any] = {"classes": [f"w{each + 1}" for each in SHUFFLED]} if named else {}
    np.savez(tmp_path / "p.npz", logits=scores[:, np.argsort(natural(data))] if named else scores, **names)
    component = catalog.load("teachers", "predictions")(file=str(tmp_path / "p.npz"))
    context = BuildContext(task=data.task, samples=data.samples)

    def build(changed: Mapping[str, Any]) -> Teacher:
        found: Teacher = dataclasses.replace(component, **changed).build(context)
        return found

    if named:  # names that are wrong: the order is left as named, and the teacher, who knows nothing, refused
        with pytest.raises(TeacherError, match="the teacher's class names put its outputs in the order"):
            check(Given(component, OPEN, build), data, CPU, lambda done: None)
        return
    found = check(Given(component, OPEN, build), data, CPU, lambda done: None)
    assert found.changed == {"classes": tuple(f"w{each + 1}" for each in SHUFFLED)} and accuracy(found, data) == 1
    assert "the teacher's outputs are taken in" in found.remarks[0] and "(w4, w8, w1, " in found.remarks[0]


def test_a_model_in_onnx_on_pictures_is_tried_like_a_network(data: Dataset, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    centres = (np.array(SHUFFLED) + 0.5) / CLASSES
    weight = np.tile(400 * centres / 192, (192, 1)).astype(np.float32)  # of the mean level of 3 channels of 8 x 8
    constants = {"w": weight, "b": (-200 * centres**2).astype(np.float32)}
    steps = [("Flatten", ["x"], ["f"]), ("MatMul", ["f", "w"], ["y"]), ("Add", ["y", "b"], ["logits"])]
    graph = helper.make_graph(
        [helper.make_node(*step) for step in steps],
        "g",
        [helper.make_tensor_value_info("x", numbers, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", numbers, ["n", CLASSES])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    component = catalog.load("teachers", "onnx")(file=str(tmp_path / "m.onnx"))

    def build(changed: Mapping[str, Any]) -> Teacher:
        built: Teacher = dataclasses.replace(component, **changed).build(BuildContext(task=data.task))
        return built

    found = check(Given(component, OPEN, build), data, CPU, lambda done: None)
    assert found.changed["classes"] == tuple(f"w{each + 1}" for each in SHUFFLED)
    assert accuracy(found, data) > 0.85


def test_any_order_and_another_normalisation_at_once(data: Dataset) -> None:
    found = tried(Levels((0.5,), (0.5,), 8, SHUFFLED), data)
    assert found.changed["classes"] == tuple(f"w{each + 1}" for each in SHUFFLED)
    assert tuple(found.changed["mean"]) == (0.5,) and accuracy(found, data) > 0.85


def test_what_the_user_said_is_kept_and_the_better_proposed(data: Dataset) -> None:
    network = Levels(outputs=natural(data))
    found = tried(network, data, mean=(0.5,), std=(0.5,))
    assert found.changed == {} and accuracy(found, data) < 0.5
    assert found.remarks[-1].startswith("the teacher is fed as you said, and yet it would be better with another")
    assert "--teacher-mean 0 --teacher-std 1" in found.remarks[-1]


def test_an_order_by_names_is_kept_and_the_better_proposed(data: Dataset) -> None:
    first, second, *others = natural(data)
    network = Levels(data.task.mean, data.task.std, 8, [second, first, *others])
    found = tried(network, data, classes=data.task.classes)
    assert found.changed == {} and 0.6 < accuracy(found, data) < 0.9
    assert "and yet the order that fits the labels best (w10, w1, w2" in found.remarks[0]
    assert "it is left as named" in found.remarks[0]
    with pytest.raises(TeacherError, match=r"no more than guessing: .* and yet natural order \(w1, w2, w3"):
        tried(Levels(data.task.mean, data.task.std), data, classes=data.task.classes)


def test_a_teacher_that_knows_nothing_is_refused(data: Dataset) -> None:
    network = Levels(outputs=[3] * CLASSES)
    with pytest.raises(TeacherError, match=r"no more than guessing: .* Tried: normalisations .* order of its outputs"):
        tried(network, data)


def test_a_taken_form_is_warned_of(data: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "autokd"):
        found = tried(Levels(outputs=natural(data)), data)
    assert list(found.remarks) == [record.message for record in caplog.records]


def test_a_small_share_of_the_cost_asks_about_fewer_samples(data: Dataset) -> None:
    ways: list[int] = []
    check(given(Levels(outputs=natural(data)), data), data, CPU, ways.append, 1e-9)
    assert len(ways) == 1  # what is assumed, and nothing else


def test_a_table_has_its_outputs_put_in_order() -> None:
    wine = load("wine")
    centres = torch.stack([batching.single(wine.train.inputs)[wine.train.labels == each].mean(0) for each in range(3)])

    class Nearest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres = nn.Parameter(centres[[2, 0, 1]])

        def forward(self, rows: Tensor) -> Tensor:
            return -torch.cdist(rows, self.centres)

    found = tried(Nearest(), wine)
    names = wine.task.classes
    assert found.changed == {"classes": (names[2], names[0], names[1])} and accuracy(found, wine) > 0.9
    assert "fed as the students are" in found.line


def test_a_line_of_some_validation_rows_says_of_how_many(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = given(Levels(outputs=natural(data)), data)
    count = len(data.validation)
    assert f"of {count} validation samples" in check(teacher, data, CPU, lambda _: None).line
    monkeypatch.setattr("autokd.teaching.checked.VALIDATED", 20)
    line = check(teacher, data, CPU, lambda _: None).line
    assert line.endswith(f"of 20 validation samples (drawn from {count}; all later figures are of all of them)")
