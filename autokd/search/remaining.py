"""How far a study is in time, for whoever watches it from outside: its stage, the seconds spent, and those to go."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

import numpy as np

from autokd.search.progress import is_claimed, runs_of_round
from autokd.search.stages import STAGES, works
from autokd.search.timing.clock import seconds_per_epoch
from autokd.search.work import Scope, Sizes, Work, total_epochs
from autokd.study.records import Records
from autokd.study.store import StudyStore

LEAST_PAUSE = 10.0
"""Seconds that count as usual in any case."""
GAPS = 50
"""Pauses between events, the latest, that say what is usual."""
BEGINNING, CLOSING = "prepare", "close"
"""What a search does before its first stage, and after its last one."""


def planned_trials(store: StudyStore) -> int:
    """Return the number of trials that are planned."""
    return int(store.settings.setting("trials") or len(store.records.trials))


def planned_works(store: StudyStore) -> list[Work]:
    """Return what the stages will do; plans of earlier versions are read as far as they are known."""
    budget = store.settings.identity.budget_of(planned_trials(store))
    return works(Scope(budget=budget, has_teacher=store.settings.teacher is not None))


def stage_now(records: Records) -> str:
    """Return the stage after the last one that ended in this session."""
    names = [BEGINNING, *(stage.name for stage in STAGES), CLOSING]
    ended = [end.stage for end in records.stages if end.stage in names]
    return names[names.index(ended[-1]) + 1] if ended else BEGINNING


def seconds_spent(records: Records, now: float | None) -> float:
    """Return the seconds of all stages that ended.

    Args:
      records: the study's.
      now: seconds since 1970, while somebody works on it: those since the last stage ended count too; else None.
    """
    done = sum(end.seconds for end in records.stages)
    last = records.stages[-1].time if records.stages else None
    return done if now is None or last is None else done + max(0.0, now - last)


def seconds_left(store: StudyStore, planned: Sequence[Work]) -> float | None:
    """Return the seconds to go, about: trials and runs that are missing, at the pace of what was trained.

    Args:
      store: the study.
      planned: what the stages will do.
    Returns:
      None where nothing was trained yet.
    """
    pace = seconds_per_epoch(store.records.trials.values())
    if not pace:
        return None
    names = [BEGINNING, *(stage.name for stage in STAGES), CLOSING]
    to_come = [work for work in planned if names.index(work.stage) >= names.index(stage_now(store.records))]
    explore = _explore_seconds(store) if any(work.stage == "explore" for work in to_come) else 0.0
    return explore + pace * _confirm_epochs(store, [work for work in to_come if work.part == "confirm"])


def _confirm_epochs(store: StudyStore, to_come: Sequence[Work]) -> float:
    """Epochs of confirm that are missing; of the stage under way, those of the runs that it has not done."""
    if is_claimed(store.records):
        return 0.0
    data = store.settings.data
    sizes = Sizes(data.train, data.validation, data.test, len(data.task.classes))
    return sum(
        _missing(store.records, work) * total_epochs([work], sizes, store.settings.setting("workers") or 1)
        for work in to_come
    )


def _missing(records: Records, work: Work) -> float:
    """Share of a stage's runs that is missing."""
    done = sum(1 for run in runs_of_round(records) if run.stage == work.stage)
    return max(0.0, 1 - done / work.runs) if work.runs else 1.0


def _explore_seconds(store: StudyStore) -> float:
    """Seconds of the trials that are missing, at what those took that were drawn; the recipes by hand took more."""
    over = [trial for trial in store.records.trials.values() if trial.ended is not None]
    drawn = [trial.seconds for trial in over if not trial.is_baseline] or [trial.seconds for trial in over] or [0.0]
    missing = max(0, planned_trials(store) - len(over))
    return missing * statistics.fmean(drawn) / store.settings.identity.slots


def usual_pause(store: StudyStore) -> float:
    """Return the seconds between two events that are usual.

    Most pauses of late were shorter, and no rung or run takes longer.
    """
    times = store.records.times[-GAPS - 1 :]
    begins = {end.time for end in store.records.stages if end.stage == BEGINNING}
    gaps = [after - before for before, after in itertools.pairwise(times) if after not in begins]
    longest = store.rung_epochs[-1] * seconds_per_epoch(store.records.trials.values())
    return max(LEAST_PAUSE, float(np.quantile(gaps, 0.9)) if gaps else 0.0, longest)
