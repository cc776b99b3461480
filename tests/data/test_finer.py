"""A teacher sees pictures at its own size: stripes that vanish at the student's are plain to it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from autokd import batching
from autokd.data import DataOptions, Dataset, load, with_finer
from autokd.engine.batches import draw_batches
from autokd.engine.build import build_run
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict_teacher
from autokd.engine.rung import Epoch
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.fed import InputForm
from autokd.networks.freeze import freeze
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import make
from autokd.teaching.checked import OPEN, Given, check
from autokd.types import Output
from tests.engine.helpers import pipeline

SIDE, OWN = 8, 32
LARGE = InputForm(size=OWN)
CPU = torch.device("cpu")


class Stripes(nn.Module):
    """Tells standing stripes of one pixel from lying ones: by how much neighbours differ to the right and below."""

    def forward(self, images: Tensor) -> Output:
        across = images.diff(dim=3).abs().mean((1, 2, 3))
        down = images.diff(dim=2).abs().mean((1, 2, 3))
        logits = 20 * torch.stack([down - across, across - down], 1)  # as the classes are in order: lying, standing
        return Output(logits, features=(adaptive_avg_pool2d(images, 4),))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes of one pixel at 32 px, over blocks of random greys; at 8 px the blocks alone are left."""
    root, rng = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for label, name in enumerate(("lying", "standing")):
        (root / name).mkdir()
        for i in range(60):
            row = np.where(np.arange(OWN) % 2, 30, -30)
            blocks = rng.integers(60, 196, (SIDE, SIDE)).repeat(OWN // SIDE, 0).repeat(OWN // SIDE, 1)
            field = (blocks + (row[:, None] if label == 0 else row)).astype(np.uint8)
            Image.fromarray(field).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def data(pictures: Path) -> Dataset:
    return load(str(pictures), DataOptions(image_size=SIDE))


def teacher_of(data: Dataset, size: int = OWN) -> NetworkTeacher:
    return freeze(Stripes(), data.task, source="stripes", identity={}, inputs=InputForm(size=size))


def accuracy(teacher: NetworkTeacher, data: Dataset) -> float:
    found = predict_teacher(teacher, to_device(data.validation, data.task, CPU)).argmax(1)
    return float((found == data.validation.labels).double().mean())


def test_it_is_right_at_its_own_size_and_at_chance_on_what_the_student_sees(data: Dataset) -> None:
    teacher = teacher_of(data)
    assert data.train.finer is None and accuracy(teacher, data) < 0.8
    finer = with_finer(data, teacher)
    assert accuracy(teacher, finer) == 1.0
    assert finer.train.inputs is data.train.inputs and finer.task == data.task


def test_it_gets_the_files_as_pillow_decodes_them(data: Dataset) -> None:
    finer = with_finer(data, teacher_of(data)).validation
    assert finer.finer is not None and finer.ids is not None and data.samples.names is not None
    seen = batching.take(finer.finer, slice(0, 5))
    for pixels, number in zip(batching.single(seen), finer.ids[:5].tolist(), strict=True):
        by_hand = np.asarray(Image.open(data.samples.names[number]))
        assert np.array_equal(pixels[0].numpy(), by_hand)


def test_they_are_decoded_once(data: Dataset, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    with_finer(data, teacher_of(data))
    monkeypatch.setattr("autokd.modalities.decoding.decode", None)  # whoever decodes now fails
    again = with_finer(data, teacher_of(data))
    assert accuracy(teacher_of(data), again) == 1.0


@pytest.mark.parametrize("size", [0, SIDE, SIDE // 2])
def test_a_teacher_that_looks_at_no_more_than_the_student_gets_the_same(data: Dataset, size: int) -> None:
    assert with_finer(data, teacher_of(data, size)) is data


def test_a_dry_run_keeps_nothing(pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path))
    data = load(str(pictures), DataOptions(image_size=SIDE))
    before = sorted(tmp_path.rglob("*"))
    finer = with_finer(data, teacher_of(data), keep=False)
    assert accuracy(teacher_of(data), finer) == 1.0 and sorted(tmp_path.rglob("*")) == before


def test_files_as_small_as_what_students_see_have_nothing_finer(pictures: Path) -> None:
    data = load(str(pictures), DataOptions(image_size=OWN))
    assert with_finer(data, teacher_of(data, 64)) is data


def test_arrays_that_students_see_as_they_are_have_nothing_finer(digits: Dataset) -> None:
    large = freeze(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), digits.task, source="", identity={}, inputs=LARGE)
    assert with_finer(digits, large) is digits


@pytest.fixture(scope="module")
def arrays(pictures: Path) -> Dataset:
    files = sorted(pictures.rglob("*.png"))
    given = np.stack([np.asarray(Image.open(file)) for file in files])
    return load((given, [file.parent.name for file in files]), DataOptions(image_size=SIDE))


def test_arrays_larger_than_what_students_see_reach_the_teacher_as_they_are(arrays: Dataset) -> None:
    teacher, whole = teacher_of(arrays), batching.single(arrays.samples.whole[0])
    assert (
        batching.single(arrays.train.inputs).shape[-1] == SIDE
        and whole.shape[-1] == OWN
        and accuracy(teacher, arrays) < 0.8
    )
    finer = with_finer(arrays, teacher)
    assert accuracy(teacher, finer) == 1.0
    for split in (finer.train, finer.validation, finer.read_test()):
        assert split.finer is not None and split.ids is not None
        rows = torch.tensor(arrays.samples.numbers)[split.ids]
        assert torch.equal(batching.single(split.finer)[torch.arange(len(split))], whole[rows])
    logits, labels, seen = answers(finer, {"kd": make("losses", "kd", {})}, ("crop_flip", {}))
    assert seen.shape[-1] == SIDE and bool((logits.argmax(1) == labels).all())


def test_larger_arrays_are_resized_by_the_same_rule_as_for_students() -> None:
    wide = np.zeros((40, 24, 48), np.uint8)
    wide[:, :, :8] = np.where(np.arange(40) % 2, 255, 100)[:, None, None]
    wide[::2, :, 20:24] = 50
    for rule, left in (("crop", 0), ("squash", 100)):
        data = load((wide, np.arange(40) % 2), DataOptions(image_size=8, resize=rule))
        seen = with_finer(data, teacher_of(data, 24)).train.finer
        assert seen is not None and batching.single(seen).shape[1:] == (1, 24, 24)
        assert int(batching.single(seen)[:].min(0).values[0, 12, 0]) == left
        assert with_finer(data, teacher_of(data, 8)) is data


def test_the_size_of_the_very_arrays_is_among_those_that_are_tried(arrays: Dataset) -> None:
    odd = torch.nn.functional.interpolate(batching.single(arrays.samples.whole[0]).float(), size=OWN + 2)
    labels = [arrays.task.classes[k] for k in _labels_as_read(arrays)]
    data = load((odd.byte().numpy(), labels), DataOptions(image_size=SIDE))
    found = check(Given(type("Fed", (), {})(), OPEN, lambda changed: only_at(OWN + 2, data, changed)), data, CPU, print)
    assert found.changed["input_size"] == OWN + 2 and found.line.count("100.0 %") == 2


def only_at(side: int, data: Dataset, changed: Any) -> NetworkTeacher:
    """Knows stripes at one size, and says nothing at others."""

    class Only(Stripes):
        def forward(self, images: Tensor) -> Output:
            said = super().forward(images)
            return said if images.shape[-1] == side else said._replace(logits=said.logits * 0)

    form = InputForm(size=changed.get("input_size", 0))
    return freeze(Only(), data.task, source="stripes", identity={}, inputs=form)


def _labels_as_read(data: Dataset) -> list[int]:
    labels = torch.cat([data.train.labels, data.validation.labels, data.read_test().labels])
    return labels[torch.tensor(data.samples.numbers).argsort()].tolist()


def answers(data: Dataset, losses: dict[str, Any], augment: tuple[str, dict[str, Any]]) -> tuple[Tensor, ...]:
    """Teacher's logits on the batches of an epoch, the samples' labels, and what the student sees."""
    context = TrainContext(data=data, teacher=teacher_of(data), device=CPU, bank=TeacherBank())
    spec = pipeline(losses={"ce": make("losses", "ce", {}), **losses}, batch_size=16, augment=augment)
    with seeded(0):
        run = build_run(context, spec, 10 * len(data.train))
    found = [
        (answered["teacher"].logits, data.train.labels[batch.index], batching.single(batch.inputs))
        for batch, answered, _ in draw_batches(context, spec, run, Epoch(0, 10, 1, 0))
    ]
    return tuple(map(torch.cat, zip(*found, strict=True)))


@pytest.mark.parametrize("loss", ["kd", "hint"])
@pytest.mark.parametrize("augment", ["none", "crop_flip", "randaugment", "random_erasing"])
def test_it_answers_about_the_students_views_at_its_own_size(data: Dataset, loss: str, augment: str) -> None:
    """Stored answers and live ones; flips and crops leave stripes what they are."""
    losses = {loss: make("losses", loss, {})}
    logits, labels, seen = answers(with_finer(data, teacher_of(data)), losses, (augment, {}))
    assert seen.shape[-1] == SIDE
    right = float((logits.argmax(1) == labels).double().mean())
    assert right == 1.0 if augment in ("none", "crop_flip") else right > 0.8
    assert float((answers(data, losses, (augment, {}))[0].argmax(1) == labels).double().mean()) < 0.8


def test_the_size_of_a_teacher_is_found_by_trying_at_that_size(data: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    component = type("Fed", (), {})()

    def build(changed: Any) -> NetworkTeacher:
        return teacher_of(data, changed.get("input_size", 0))

    with caplog.at_level(logging.WARNING):
        found = check(Given(component, OPEN, build), data, CPU, lambda ways: None)
    assert found.changed["input_size"] > SIDE and found.line.count("100.0 %") == 2
    assert "read at that size; students see 8" in found.line
