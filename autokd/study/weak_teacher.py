"""Whether a teacher is worth learning from: better on validation than the student alone, beyond the noise."""

from __future__ import annotations

import math
from typing import NamedTuple

from autokd.metrics import Metric
from autokd.study.ladder import hand_step
from autokd.study.noise import estimate
from autokd.study.records import Records


class WeakTeacher(NamedTuple):
    """A teacher that is no better than the student alone.

    Args:
      teacher: its value on validation.
      alone: mean value of the student alone, trained by hand.
      noise: standard deviation of a run's score between seeds; by the validation items alone where it is not known.
      metric: that they are of.
    """

    teacher: float
    alone: float
    noise: float
    metric: Metric

    @property
    def is_worse(self) -> bool:
        """Whether it is worse beyond the noise, too."""
        return self.metric.score(self.teacher) < self.metric.score(self.alone) - self.noise

    @property
    def text(self) -> str:
        """What to tell people."""
        how = "worse than" if self.is_worse else "no better than"
        values = f"{self.metric.text(self.teacher)} against {self.metric.text(self.alone)} on validation"
        beyond = "" if self.is_worse else f", with noise of {self.metric.apart(self.noise)}"
        return (
            f"the teacher is {how} the student alone ({values}{beyond}): learning from it can hardly pay; give a "
            "better one with --teacher"
        )


def weak_teacher(
    records: Records, *, teacher: float | None, epochs: int, validation: int, metric: Metric
) -> WeakTeacher | None:
    """Return the teacher's and the student's values where the teacher is no better; None where it is, or is not known.

    Args:
      records: of a study that has trained the student alone at full length.
      teacher: the teacher's value on validation, or None.
      epochs: of the longest rung.
      validation: samples of the split.
      metric: the study's first objective.
    """
    alone = hand_step(records, "alone", epochs, metric)
    if teacher is None or alone is None:
        return None
    noise = _noise(records, alone.mean, validation, metric)
    if metric.score(teacher) > metric.score(alone.mean) + noise:
        return None
    return WeakTeacher(teacher, alone.mean, noise, metric)


def _noise(records: Records, value: float, validation: int, metric: Metric) -> float:
    found = estimate(records)
    if found is not None:
        return found.sd
    return math.sqrt(value * (1 - value) / validation) if metric.counts_right and validation else 0.0
