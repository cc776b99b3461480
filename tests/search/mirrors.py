"""What a mirror of a study holds, and what it is to hold."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from autokd.study.store import StudyStore


def in_database(url: str, name: str = "mine") -> list[FrozenTrial]:
    """The trials of a mirror."""
    storage = RDBStorage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


Mirrored = dict[int, tuple[str, float | None, dict[str, Any], dict[int, float]]]


def told(trials: list[FrozenTrial]) -> Mirrored:
    """What a mirror says, by number; each trial must be there once."""
    said = {t.user_attrs["number"]: (t.state.name, t.value, t.params, t.intermediate_values) for t in trials}
    assert [t.number for t in trials] == list(said)
    return said


def expected(store: StudyStore, *, over: bool = True) -> Mirrored:
    """What a mirror is to say, from the records of a study with three rungs.

    Trials that stopped early are pruned once the study is over.
    """
    said = {}
    for t in store.records.trials.values():
        complete = t.failure is None and len(t.rungs) == 3
        state = "COMPLETE" if complete else "PRUNED" if t.failure or (over and t.rungs) else "RUNNING"
        scores = {rung.rung: rung.score for rung in t.rungs}
        said[t.number] = (state, scores[2] if complete else None, dict(t.params or {}), scores)
    return said
