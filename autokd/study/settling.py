"""When a search found what is as good as its best trial but for the noise, and whether more trials would pay."""

from __future__ import annotations

from typing import NamedTuple

from autokd.study.noise import estimate
from autokd.study.ranking import ranked
from autokd.study.records import Records

LATE = 0.8
"""Share of the trials after which that counts as late."""
FEWEST = 10
"""Fewer trials than this say nothing about whether more would pay."""


class Settling(NamedTuple):
    """When a search settled.

    Args:
      first: number of the first trial that is as good as the best of its length, but for the noise.
      best: number of the best trial.
      trials: how many there are.
      noise: standard deviation of a score between seeds; 0 where it is not known.
    """

    first: int
    best: int
    trials: int
    noise: float

    @property
    def known(self) -> bool:
        """Whether there are enough trials to tell."""
        return self.trials >= FEWEST

    @property
    def late(self) -> bool:
        """Whether the search was still improving at its end."""
        return self.first >= LATE * self.trials


def settling(records: Records) -> Settling | None:
    """Return when a study's search settled; None where no trial has a score."""
    order = ranked(records.trials.values())
    if not order:
        return None
    best, noise = order[0], estimate(records)
    spread = 0.0 if noise is None else noise.sd
    alike = (t for t in order if len(t.rungs) == len(best.rungs) and t.rungs[-1].score >= best.rungs[-1].score - spread)
    return Settling(min(trial.number for trial in alike), best.number, len(records.trials), spread)
