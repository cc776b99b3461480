"""The teacher that autokd trains itself: from training rows alone, once, and again where what was kept is damaged."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from autokd.batching import single
from autokd.data import DataOptions, Dataset, load
from autokd.networks.models import NetworkTeacher
from autokd.teaching import default_teacher
from autokd.teaching.recipe import COMPARED_FROM, SHORT, Effort, recipe
from autokd.teaching.taught import effort_of, load_described
from autokd.types import Shapes, Split
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
    """The teacher, and how many epochs were trained for it, trees counting as one network each."""
    told: list[tuple[int, int]] = []
    teacher = default_teacher.obtain(data, Effort(epochs), CPU, lambda done, total: told.append((done, total)))
    dones = [done for done, _ in told] or [0]
    assert (
        dones[0] == 0
        and all(one < other for one, other in itertools.pairwise(dones))
        and all(total == dones[-1] for _, total in told)
    )
    return teacher, dones[-1]


@pytest.fixture
def networks_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boosting and forest are not tried."""
    monkeypatch.setattr(default_teacher, "recipe", lambda task, effort: recipe(task, effort)._replace(trees=()))


def test_a_table_gets_the_best_of_trees_and_mlps_trained_once(cancer: Dataset, cache: Path) -> None:
    teacher, trained = obtained(cancer)
    again, none = obtained(cancer)
    assert (trained, none) == (7 * 2, 0)
    assert teacher.fingerprint == again.fingerprint and teacher.origin == again.origin
    inputs = cancer.validation.inputs
    assert torch.equal(teacher.predict(inputs).logits, again.predict(inputs).logits)
    assert default_teacher.offers(cancer.task, Effort(2)) == teacher.offers == Shapes()
    facts = json.loads(next(cache.glob("*/teacher.json")).read_text())
    scores = facts["validation_accuracy"]
    assert list(scores) == ["gradient boosting", "forest", "MLPs"]
    assert scores[facts["use"]] == max(scores.values())
    right = (teacher.predict(inputs).logits.argmax(1) == cancer.validation.labels).double().mean()
    assert float(right) == pytest.approx(max(scores.values()))
    assert teacher.origin.startswith(
        f"trained by autokd: the best on validation of {facts['use']} {100 * max(scores.values()):.1f} %, "
    )
    assert all(f"{name} {100 * score:.1f} %" in teacher.origin for name, score in scores.items())
    _, longer = obtained(cancer, 3)
    assert longer == 21


def test_whoever_is_best_on_validation_teaches_and_comes_back_from_its_files(
    cancer: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, fingerprints = cancer.validation.inputs, set()
    for name, members in (("gradient boosting", 1), ("forest", 1), ("MLPs", 5)):
        with monkeypatch.context() as patch:
            patch.setattr(default_teacher, "_accuracy", lambda candidate, _, name=name: float(candidate.name == name))
            teacher, _ = obtained(cancer)
        again, trained = obtained(cancer)
        assert trained == 0 and len(again.modules) == members and again.origin == teacher.origin
        assert torch.equal(teacher.predict(rows).logits, again.predict(rows).logits)
        assert {path.suffix for path in cache.glob("*/*")} == {".safetensors", ".json"}
        fingerprints.add(again.fingerprint)
        shutil.rmtree(cache)
    assert len(fingerprints) == 3


def test_a_pipeline_that_names_it_gets_the_same_teacher_where_the_cache_is_gone(cancer: Dataset, cache: Path) -> None:
    teacher, _ = obtained(cancer)
    rows = cancer.validation.inputs
    shutil.rmtree(cache)
    again = load_described(default_teacher.reference(Effort(2)), cancer, CPU)
    assert again.fingerprint == teacher.fingerprint and again.origin == teacher.origin
    assert torch.equal(again.predict(rows).logits, teacher.predict(rows).logits)


def test_images_get_the_augmentation_that_is_best_in_short_runs(digits: Dataset, cache: Path) -> None:
    small = dataclasses.replace(digits.train, inputs=single(digits.train.inputs)[:32], labels=digits.train.labels[:32])
    task = dataclasses.replace(digits.task, train_size=32, fingerprint="small")
    data = dataclasses.replace(digits, train=small, task=task)
    teacher, trained = obtained(data, COMPARED_FROM)
    assert trained == 3 * (COMPARED_FROM // SHORT) + COMPARED_FROM and len(teacher.modules) == 1
    assert default_teacher.offers(task, Effort(COMPARED_FROM)) == teacher.offers
    facts = json.loads(next(cache.glob("*/teacher.json")).read_text())
    assert facts["pipeline"]["augment"]["use"] in ("crop_flip", "none") and set(facts["pipeline"]["losses"]) == {"ce"}
    assert f"augment {facts['pipeline']['augment']['use']}" in teacher.origin


def test_trees_are_fitted_to_training_rows_alone(cancer: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other validation rows, other labels there: the same trees, though another kind of teacher may be the best."""
    monkeypatch.setattr(default_teacher, "_accuracy", lambda candidate, _: float(candidate.name == "forest"))
    teacher, _ = obtained(cancer)
    turned = Split(single(cancer.validation.inputs).flip(0) * 3, 1 - cancer.validation.labels)
    task = dataclasses.replace(cancer.task, fingerprint="another")
    other, trained = obtained(dataclasses.replace(cancer, validation=turned, task=task))
    assert trained == 14 and other.fingerprint == teacher.fingerprint


def test_a_teacher_is_kept_by_what_it_was_trained_on(cancer: Dataset) -> None:
    teacher, _ = obtained(cancer)
    fewer = load("breast_cancer", DataOptions(limit_train=64))
    other, trained = obtained(fewer)
    assert trained == 14 and other.fingerprint != teacher.fingerprint


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


@pytest.mark.usefixtures("networks_win")
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


@pytest.mark.parametrize("damage", [lost, torn_json])
def test_damaged_trees_are_fitted_again(
    cancer: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(default_teacher, "_accuracy", lambda candidate, _: float(candidate.name == "forest"))
    teacher, _ = obtained(cancer, 1)
    damage(next(path for path in cache.iterdir() if path.is_dir()))
    again, trained = obtained(cancer, 1)
    assert trained == 7 and again.fingerprint == teacher.fingerprint


def test_a_teacher_whose_training_was_cut_short_is_trained(cancer: Dataset, cache: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        default_teacher.obtain(cancer, Effort(2), CPU, stop)
    assert obtained(cancer)[1] == 14


def test_a_teacher_is_frozen(cancer: Dataset) -> None:
    teacher, _ = obtained(cancer, 1)
    assert not any(parameter.requires_grad for parameter in teacher.modules.parameters())
    assert not any(module.training for module in teacher.modules.modules())
    rows = cancer.validation.inputs
    assert torch.equal(teacher.predict(rows).logits, teacher.predict(rows).logits)


def test_the_recipe_is_written_out(digits: Dataset, cancer: Dataset) -> None:
    for data, members, trees in ((digits, 1, ()), (cancer, 5, ("gradient boosting", "forest"))):
        chosen = recipe(data.task, Effort(40))
        assert (chosen.members, chosen.trees) == (members, trees)
        assert all("weight_decay" in pipeline["optimizer"] for pipeline in chosen.pipelines)
        assert all(len(pipeline["losses"]) == 1 for pipeline in chosen.pipelines)


@pytest.mark.parametrize("effort", [Effort(7), Effort(3, "small")])
def test_a_reference_says_what_was_put_into_it(effort: Effort) -> None:
    plain = default_teacher.reference(effort)
    assert plain["use"] == "trained" and effort_of(plain, 99) == effort
    assert effort_of({"use": "timm", "model": "x"}, 99) == Effort(99)
    assert effort_of(None, 99) == Effort(99)


def test_a_short_training_is_of_a_smaller_network_that_is_not_augmented(digits: Dataset) -> None:
    task = dataclasses.replace(digits.task, input_shape=(3, 32, 32))
    efforts = [Effort(40), Effort(8), Effort(8, "medium"), Effort(8, "small")]
    chosen = [recipe(task, effort) for effort in efforts]
    assert [each.compared for each in chosen] == [3, 0, 0, 0]
    assert [each.pipelines[0]["augment"]["use"] for each in chosen] == ["crop_flip", "none", "none", "none"]
    students = [each.pipelines[0]["student"] for each in chosen]
    assert [(student["depth"], student["width"]) for student in students] == [(14, 32), (14, 32), (8, 32), (8, 16)]
