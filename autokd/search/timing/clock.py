"""How much of a study's time is left, and how long things take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch

from autokd import batching
from autokd.data import Dataset
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.study.records import Records, TrialRecord
from autokd.types import Teacher

TIMED_SAMPLES = 512
"""Samples on which seconds are measured."""
CONFIRM_SHARE = 0.5
"""Of the whole time that explore leaves to confirm, at most; confirm makes do with what it finds."""
CLOSING = 3.0
"""Seconds kept for what follows the claim: the student's bundle and the report."""


class Clock:
    """Counts down the time that a study may take, over all its sessions.

    Args:
      limit: seconds; None: as long as it takes.
      before: seconds spent in earlier sessions.
      began: when this session began, by `now`.
      now: a clock that is never set back.
    """

    def __init__(
        self, limit: float | None, *, before: float, began: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._end = math.inf if limit is None else began + limit - before - CLOSING
        self._now = now

    @property
    def left(self) -> float:
        """Seconds until the last run is to be over; infinite without a limit, negative where it is too late."""
        return self._end - self._now()

    def left_to_explore(self, records: Records, epochs: float) -> float:
        """Return the seconds that explore may still take so that confirm can follow.

        Args:
          records: the study's; the seconds of its trials say what an epoch costs.
          epochs: that confirm takes, one after the other.
        """
        if self.limit is None:
            return math.inf
        return self.left - min(epochs * seconds_per_epoch(records.trials.values()), CONFIRM_SHARE * self.limit)


def spent(records: Records) -> float:
    """Seconds spent so far; at least those of the training, since a killed session did not add its own up."""
    trained = [trial.seconds for trial in records.trials.values()] + [run.seconds for run in records.runs]
    return max(sum(records.seconds.values()), sum(trained))


def seconds_per_epoch(trials: Iterable[TrialRecord]) -> float:
    """Return the median seconds of an epoch, over the trials that went furthest; 0 where there is none.

    Only the last rung of each counts: longer runs are like it, and not like a short one that ends in a side branch. The
    first of them, in which the teacher answers what later ones find stored, is no measure of the others.
    """
    reached = sorted((t for t in trials if t.rungs), key=lambda t: -t.rungs[-1].epochs)[:5]
    return float(np.median([_last_pace(trial) for trial in reached])) if reached else 0.0


def _last_pace(trial: TrialRecord) -> float:
    before, last = [0, *(rung.epochs for rung in trial.rungs)][-2], trial.rungs[-1]
    return last.seconds / (last.epochs - before)


def answer_seconds(teacher: Teacher, data: Dataset, device: torch.device) -> float:
    """Measure the seconds that a teacher's answer takes, a sample; on a few of validation."""
    count = min(TIMED_SAMPLES, len(data.validation))
    few = to_device(batching.first_of(data.validation, count), data.task, device)
    predict_teacher(teacher, few)
    began = time.monotonic()
    predict_teacher(teacher, few)  # its result is on the CPU, so the device is done
    return (time.monotonic() - began) / count
