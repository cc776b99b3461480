"""The mirror for Optuna's dashboards: readable by Optuna, rebuilt at will, never in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from search_helpers import EPOCHS, SPACE, context, explore, explorer, fixed_score, resolved

from autokd.data import Dataset
from autokd.models import shapes_to_plain
from autokd.search.executors import Outcome, RungJob
from autokd.search.mirror import Mirror
from autokd.search.store import StudyStore


@pytest.fixture
def store(digits: Dataset, tmp_path: Path) -> StudyStore:
    """A study of eight trials; those with KD fail at the second rung."""

    def score(job: RungJob) -> float | Outcome | None:
        return None if job.until > 1 and "kd" in job.pipeline["losses"] else fixed_score(job)

    space, teacher = resolved(digits), context(digits).teacher
    assert teacher is not None
    task = {name: getattr(digits.task, name) for name in digits.task.__dataclass_fields__}
    made = explorer(tmp_path / "explored", space, digits.task, score)
    settings = {
        "identity": {"rungs": list(EPOCHS), "space": {"constraints": {"params": 4000}}},
        "data": {"task": {key: list(v) if isinstance(v, tuple) else v for key, v in task.items()}},
        "teacher": {"offers": shapes_to_plain(teacher.offers)},
    }
    explore(made, 8)
    created = StudyStore.create(tmp_path / "mine", settings, SPACE)
    created.log.records = made.log.records
    return created


def mirrored(store: StudyStore) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(store.path / "journal.log")))
    study = optuna.load_study(study_name="mine", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    return study.trials


def test_optuna_reads_complete_and_failed_trials(store: StudyStore) -> None:
    Mirror(store).update()
    seen = {t.user_attrs["number"]: t for t in mirrored(store)}
    over = {
        t.number: t
        for t in store.records.trials.values()
        if t.params is not None and (t.failure is not None or len(t.rungs) == 3)
    }
    assert set(seen) == set(over) and {t.failure is None for t in over.values()} == {True, False}
    for number, t in over.items():
        assert seen[number].params == t.params and seen[number].user_attrs["source"] == t.source
        if t.failure is None:
            assert (seen[number].state, seen[number].value) == (TrialState.COMPLETE, t.score)
        else:
            assert seen[number].state == TrialState.PRUNED and seen[number].constraints == {"not_finite": 1.0}
    best = max((t for t in over.values() if t.failure is None), key=lambda t: t.score or 0)
    assert max(t.value or 0 for t in seen.values() if t.state == TrialState.COMPLETE) == best.score


def test_each_trial_is_mirrored_once_and_the_mirror_is_rebuilt(store: StudyStore) -> None:
    mirror = Mirror(store)
    mirror.update()
    count = len(mirrored(store))
    mirror.update()
    assert len(mirrored(store)) == count > 0
    (store.path / "journal.log").write_text("nonsense\n")
    (store.path / "journal.log.lock").touch()  # a search killed while it wrote leaves its lock
    mirror = Mirror(store)
    assert not (store.path / "journal.log.lock").exists()  # Optuna would wait for it
    mirror.update()
    assert len(mirrored(store)) == count


def test_a_mirror_that_breaks_is_told_once_and_stops_nothing(
    store: StudyStore, caplog: pytest.LogCaptureFixture
) -> None:
    (store.path / "journal.log").mkdir()
    with caplog.at_level(logging.WARNING, "autokd"):
        mirror = Mirror(store)
        mirror.update()
        mirror.update()
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "the Optuna mirror could not be written"
    ]


def test_an_error_of_optunas_own_stops_nothing(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise optuna.exceptions.StorageInternalError("no")

    monkeypatch.setattr(optuna, "create_study", broken)
    level = optuna.logging.get_verbosity()
    Mirror(store).update()
    assert optuna.logging.get_verbosity() == level
