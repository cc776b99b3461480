"""The teacher that autokd trains itself: from training rows alone, once, and again where what was kept is damaged."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from autokd.data import DataOptions, Dataset, load
from autokd.networks.models import NetworkTeacher
from autokd.teaching import default_teacher
from autokd.types import Split
from tests.search.spaces import CPU


class Unread(Dataset):
    def read_test(self) -> Split:
        raise AssertionError("the test split was read")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "teachers"


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    loaded = load("breast_cancer", DataOptions(limit_train=96))
    return Unread(**{field.name: getattr(loaded, field.name) for field in dataclasses.fields(loaded)})


def obtained(data: Dataset, epochs: int = 2) -> tuple[NetworkTeacher, int]:
    """The teacher, and how many epochs were trained for it."""
    told: list[tuple[int, int]] = []
    teacher = default_teacher.obtain(data, epochs, CPU, lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1)) and all(total == len(told) for _, total in told)
    return teacher, len(told)


def test_a_table_gets_an_ensemble_that_is_trained_once(cancer: Dataset, cache: Path) -> None:
    teacher, trained = obtained(cancer)
    again, none = obtained(cancer)
    assert (trained, none) == (5 * 2, 0) and len(teacher.modules) == 5
    assert teacher.fingerprint == again.fingerprint and teacher.origin == again.origin
    inputs = cancer.validation.inputs
    assert torch.equal(teacher.predict(inputs).logits, again.predict(inputs).logits)
    assert teacher.origin.startswith("trained by autokd: ensemble of 5 mlp(") and "augment none" in teacher.origin
    assert default_teacher.offers(cancer.task) == teacher.offers
    _, longer = obtained(cancer, 3)
    assert longer == 15


def test_images_get_the_augmentation_that_is_best_in_short_runs(digits: Dataset, cache: Path) -> None:
    small = dataclasses.replace(digits.train, inputs=digits.train.inputs[:32], labels=digits.train.labels[:32])
    task = dataclasses.replace(digits.task, train_size=32, fingerprint="small")
    data = dataclasses.replace(digits, train=small, task=task)
    teacher, trained = obtained(data, 4)
    assert trained == 3 * 1 + 4 and len(teacher.modules) == 1
    assert default_teacher.offers(task) == teacher.offers
    facts = json.loads(next(cache.glob("*/teacher.json")).read_text())
    assert facts["pipeline"]["augment"]["use"] in ("crop_flip", "none") and set(facts["pipeline"]["losses"]) == {"ce"}
    assert f"augment {facts['pipeline']['augment']['use']}" in teacher.origin


def test_a_table_teacher_is_trained_on_training_rows_alone(cancer: Dataset) -> None:
    """Other validation rows, other labels there: the same teacher."""
    teacher, _ = obtained(cancer)
    turned = Split(cancer.validation.inputs.flip(0) * 3, 1 - cancer.validation.labels)
    task = dataclasses.replace(cancer.task, fingerprint="another")
    other, trained = obtained(dataclasses.replace(cancer, validation=turned, task=task))
    assert trained == 10 and other.fingerprint == teacher.fingerprint


def test_a_teacher_is_kept_by_what_it_was_trained_on(cancer: Dataset) -> None:
    teacher, _ = obtained(cancer)
    fewer = load("breast_cancer", DataOptions(limit_train=64))
    other, trained = obtained(fewer)
    assert trained == 10 and other.fingerprint != teacher.fingerprint


def torn(folder: Path) -> None:
    file = folder / "member-3.safetensors"
    file.write_bytes(file.read_bytes()[:-50])


def changed(folder: Path) -> None:
    file = folder / "member-3.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\1\2\3")


def lost(folder: Path) -> None:
    (folder / "member-0.safetensors").unlink()


def other_json(folder: Path) -> None:
    (folder / "teacher.json").write_text("[1]")


def torn_json(folder: Path) -> None:
    (folder / "teacher.json").write_text('{"format": 1, "pipe')


def swapped(folder: Path) -> None:
    (folder / "member-0.safetensors").replace(folder / "member-1.safetensors")


@pytest.mark.parametrize("damage", [torn, changed, lost, other_json, torn_json, swapped])
def test_a_damaged_teacher_is_trained_again(
    cancer: Dataset, cache: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    teacher, _ = obtained(cancer, 1)
    damage(next(path for path in cache.iterdir() if path.is_dir()))
    with caplog.at_level(logging.WARNING, "autokd"):
        again, trained = obtained(cancer, 1)
    assert trained == 5 and again.fingerprint == teacher.fingerprint
    assert len(caplog.records) == 1 and "is damaged" in caplog.records[0].message and "\n" not in caplog.text.strip()
    assert obtained(cancer, 1)[1] == 0


def test_a_teacher_whose_training_was_cut_short_is_trained(cancer: Dataset, cache: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        default_teacher.obtain(cancer, 2, CPU, stop)
    assert obtained(cancer)[1] == 10


def test_a_teacher_is_frozen(cancer: Dataset) -> None:
    teacher, _ = obtained(cancer, 1)
    assert not any(parameter.requires_grad for parameter in teacher.modules.parameters())
    assert not any(module.training for module in teacher.modules.modules())
    rows = cancer.validation.inputs
    assert torch.equal(teacher.predict(rows).logits, teacher.predict(rows).logits)


def test_the_recipe_is_written_out(digits: Dataset, cancer: Dataset) -> None:
    for data, members in ((digits, 1), (cancer, 5)):
        chosen = default_teacher.recipe(data.task)
        assert chosen.members == members
        assert all("weight_decay" in pipeline["optimizer"] for pipeline in chosen.pipelines)
        assert all(len(pipeline["losses"]) == 1 for pipeline in chosen.pipelines)
    assert default_teacher.reference(7) == {"use": "trained", "epochs": 7}
