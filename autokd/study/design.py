"""How many seeds a stage takes, and what that rests on: fixed and recorded before its first run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from autokd.metrics import Metric
from autokd.objective import ACCURACY

POINTS, SHARE = 0.01, 0.1
"""A difference matters from one point of accuracy on (a hundredth of what other metrics are counted in), or a tenth of
the baseline's error (its distance from the perfect value) where that is more."""


class Noise(NamedTuple):
    """Spread of validation scores between seeds.

    Args:
      sd: standard deviation of a single run's score, pooled over pipelines.
      df: its degrees of freedom.
      mean: mean score of the runs it comes from.
    """

    sd: float
    df: int
    mean: float

    def target(self, metric: Metric = ACCURACY.metric) -> float:
        """The smallest difference of scores that matters."""
        return max(POINTS, SHARE * (metric.score(metric.perfect) - self.mean))


class SeedPlan(NamedTuple):
    """How many seeds tell what is to be told.

    Args:
      seeds: an arm.
      target: difference that they are to tell apart; None where the noise is not known.
      detectable: difference of validation scores that they do tell, with 80 % power, as far as seeds are concerned.
      noise: what it rests on, or None.
      reason: in words.
    """

    seeds: int
    target: float | None
    detectable: float | None
    noise: Noise | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Design:
    """How many seeds a stage of confirm takes, fixed before its first run.

    Args:
      stage: "select", "tune", "choose", "claim" or "ablate"; of tune and ablate, 0 seeds mean that it is left out.
      round: of confirm.
      seeds, target, detectable, noise, reason: see `SeedPlan`.
      arms: that are compared; None in tune.
    """

    stage: str
    round: int
    seeds: int
    target: float | None
    detectable: float | None
    noise: Noise | None
    reason: str
    arms: int | None = None

    @classmethod
    def of(cls, stage: str, round: int, plan: SeedPlan, arms: int | None = None) -> Design:
        """Return the design of a stage that takes as many seeds as planned."""
        return cls(stage=stage, round=round, arms=arms, **plan._asdict())

    def to_plain(self) -> dict[str, Any]:
        """Return the design as the values of its event."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**plain, "noise": None if self.noise is None else self.noise._asdict()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Design:
        """Inverse of `to_plain`."""
        noise = plain["noise"]
        return cls(**{**plain, "noise": None if noise is None else Noise(**noise)})
