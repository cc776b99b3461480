"""The teacher bank: stored answers change nothing but the time, and are never those to another question."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from autokd import imaging
from autokd.batching import single
from autokd.data import DataOptions, Dataset, load
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import policy_key
from autokd.spec import make
from tests.engine.helpers import (
    NotingLoss,
    NotingTeacher,
    Shift,
    assert_same,
    context,
    pipeline,
    table_pipeline,
    teacher,
    trained,
)

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}


def outcome(where: TrainContext, spec: Any, **options: Any) -> tuple[Any, Any]:
    result, checkpoint = trained(where, spec, **options)
    return result.curve, checkpoint


@pytest.mark.parametrize("changed", ["geometry.py", "colour.py", "mixing.py", "moves.py"])
def test_views_of_other_image_operations_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    augment, same, other = make("augments", "randaugment", {}), tmp_path / "same", tmp_path / "other"
    key = policy_key(augment)
    for folder in (same, other):
        shutil.copytree(imaging.__path__[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    (other / changed).write_text((other / changed).read_text() + "# other\n")
    monkeypatch.setattr(imaging, "__path__", [str(same)])
    assert policy_key(augment) == key
    monkeypatch.setattr(imaging, "__path__", [str(other)])
    assert policy_key(augment) != key


@pytest.mark.parametrize("augment", ["none", "crop_flip", "mixup"])
def test_cold_warm_and_full_banks_are_bit_identical(digits: Dataset, tmp_path: Path, augment: str) -> None:
    spec, frozen = pipeline(augment=(augment, {}), losses=KD), teacher(digits.task)
    shared, full = context(digits, frozen), context(digits, frozen, TeacherBank(max_bytes=0))
    cold = outcome(shared, spec)
    assert_same(cold, outcome(shared, spec))
    assert_same(cold, outcome(full, spec))
    assert_same(cold, outcome(full, spec))
    assert_same(cold, outcome(context(digits, frozen, TeacherBank(tmp_path)), spec))
    assert_same(cold, outcome(context(digits, frozen, TeacherBank(tmp_path)), spec))
    assert_same(cold, outcome(context(digits, frozen, TeacherBank(tmp_path / "full", 0)), spec))


def test_a_folder_of_answers_spares_the_teacher_and_a_damaged_one_does_not_mislead(
    digits: Dataset, tmp_path: Path
) -> None:
    spec = pipeline(augment=("crop_flip", {}), losses=KD)

    def asked() -> tuple[int, Any]:
        noting = NotingTeacher(teacher(digits.task))
        found = outcome(context(digits, noting, TeacherBank(tmp_path)), spec)
        return sum(len(inputs) for inputs in noting.inputs), found

    (cold, first), (warm, second) = asked(), asked()
    assert (cold, warm) == (2 * 129, 0)
    blocks = sorted(tmp_path.rglob("*.safetensors"))
    assert len(blocks) == 2
    blocks[0].write_bytes(blocks[0].read_bytes()[:-4] + b"\0\1\2\3")
    blocks[1].write_bytes(b"")
    damaged, third = asked()
    assert damaged == 2 * 129
    assert_same(first, second)
    assert_same(first, third)
    assert asked()[0] == 0


def test_a_warm_bank_spares_the_teacher_and_a_full_one_does_not(digits: Dataset) -> None:
    spec = pipeline(augment=("crop_flip", {}), losses=KD)
    noting = NotingTeacher(teacher(digits.task))
    where = context(digits, noting)
    trained(where, spec)
    asked = sum(len(inputs) for inputs in noting.inputs)
    trained(where, spec, seed=8)
    assert sum(len(inputs) for inputs in noting.inputs) == asked == 2 * 129
    noting = NotingTeacher(teacher(digits.task))
    where = context(digits, noting, TeacherBank(max_bytes=0))
    trained(where, spec)
    trained(where, spec, seed=8)
    assert sum(len(inputs) for inputs in noting.inputs) == 4 * 129


def test_epochs_with_the_same_view_are_answered_once(digits: Dataset) -> None:
    noting = NotingTeacher(teacher(digits.task))
    trained(context(digits, noting), pipeline(losses=KD), epochs=4)
    assert sum(len(inputs) for inputs in noting.inputs) == 129


def test_a_pipeline_without_a_teacher_does_not_ask_it(digits: Dataset) -> None:
    noting = NotingTeacher(teacher(digits.task))
    trained(context(digits, noting), pipeline())
    assert noting.inputs == []


def test_a_bank_keeps_apart_policies_with_equal_tables(digits: Dataset) -> None:
    weak, strong = (pipeline(augment=Shift(by=by), losses=KD) for by in (0.0, 0.5))
    shared = context(digits, teacher(digits.task))
    outcome(shared, weak)
    assert_same(outcome(shared, strong), outcome(context(digits, teacher(digits.task)), strong))


def test_a_bank_keeps_apart_teachers_and_datasets(digits: Dataset, cancer: Dataset) -> None:
    bank = TeacherBank()

    def with_bank(data: Dataset, seed: int) -> TrainContext:
        return context(data, teacher(data.task, seed=seed), bank)

    spec = pipeline(losses=KD)
    first = outcome(with_bank(digits, 1), spec)
    second = outcome(with_bank(digits, 2), spec)
    assert second[0] != first[0]
    assert_same(second, outcome(context(digits, teacher(digits.task, seed=2)), spec))
    others = load("digits", DataOptions(limit_train=129, seed=1))
    frozen = teacher(digits.task)
    third = outcome(context(others, frozen, bank), spec)
    assert_same(third, outcome(context(others, frozen), spec))
    table = table_pipeline(losses=KD)
    assert_same(outcome(with_bank(cancer, 1), table), outcome(context(cancer, teacher(cancer.task)), table))


def test_the_embedding_is_stored_too(digits: Dataset) -> None:
    loss = NotingLoss(teacher="stored", reads=frozenset({"pooled"}))
    frozen = teacher(digits.task)
    trained(context(digits, frozen), pipeline(losses={"ce": loss}), epochs=1)
    images = (single(digits.train.inputs).float() / 255 - digits.task.mean[0]) / digits.task.std[0]
    expected = frozen.predict(images)
    for step in loss.steps:
        assert step.teacher is not None and step.teacher.pooled is not None and expected.pooled is not None
        torch.testing.assert_close(step.teacher.pooled, expected.pooled[step.index], rtol=2**-10, atol=2**-12)
        torch.testing.assert_close(step.teacher.logits, expected.logits[step.index], rtol=2**-10, atol=2**-12)


def test_stored_feature_maps_match_a_live_teacher(digits: Dataset) -> None:
    def features(bank: TeacherBank) -> tuple[list[torch.Tensor], int]:
        loss = NotingLoss(teacher="live", reads=frozenset({"features"}))
        noting = NotingTeacher(teacher(digits.task))
        spec = pipeline(augment=("crop_flip", {}), losses={"ce": loss})
        trained(context(digits, noting, bank), spec, epochs=1)
        trained(context(digits, noting, bank), spec, epochs=1)
        return [f for step in loss.steps if step.teacher for f in step.teacher.features], len(noting.inputs)

    (live, times), (stored, once) = features(TeacherBank()), features(TeacherBank(features=True))
    assert (times, once) == (10, 1) and len(live) == len(stored) == 2 * 2 * 5
    for one, other in zip(live, stored, strict=True):
        torch.testing.assert_close(one, other, rtol=2**-10, atol=2**-12)


def test_answers_beyond_half_precision_stay_finite(digits: Dataset) -> None:
    frozen = teacher(digits.task)
    frozen.modules[0].get_parameter("fc.weight").data.mul_(1e8)
    loss = NotingLoss(teacher="stored")
    trained(context(digits, frozen), pipeline(losses={"ce": loss}), epochs=1)
    logits = torch.cat([step.teacher.logits for step in loss.steps if step.teacher])
    assert bool(torch.isfinite(logits).all()) and float(logits.abs().max()) == 65504.0
