"""What confirm's select compared and chose, and the students that screening ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A finalist of select, as it stood at the end.

    Args:
      trial: its number.
      scores: of the first objective on validation, one a seed; a run that failed counts the metric's worst.
      mean: of them.
      dropped_after: seeds after which it was stopped as clearly worse, or None.
      tied: not distinguishable from the leader; the leader itself is.
      losses: terms of its loss.
      params, macs: of its student.
      objectives: with several objectives, the means over seeds by name; else {}.
      on_front: with several objectives, whether no other candidate dominates it; else None.
      posterior: mean of its score given all its runs and the trials that reached the top rung, which decides where
        there is one objective; else None.
    """

    trial: int
    scores: list[float]
    mean: float
    dropped_after: int | None
    tied: bool
    losses: int
    params: float
    macs: float
    objectives: Mapping[str, float] = dataclasses.field(default_factory=dict)
    on_front: bool | None = None
    posterior: float | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which trial select chose.

    Args:
      round: of confirm.
      trials: how many there were; None where an earlier version did not write it down.
      trial: number of the chosen one.
      candidates: the finalists.
      most_seeds: that a finalist could get.
      reason: in words.
    """

    round: int
    trial: int
    candidates: tuple[Candidate, ...]
    most_seeds: int
    reason: str
    trials: int | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the choice as the values of its event."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Choice:
        """Inverse of `to_plain`."""
        return cls(**{**plain, "candidates": tuple(Candidate(**candidate) for candidate in plain["candidates"])})


@dataclass(frozen=True, kw_only=True)
class ScreenedStudent:
    """A student that was ranked without training.

    Args:
      student: plain.
      params, macs, size: its costs.
      proxies: score of each proxy, by name; None where it cannot judge this student.
      score: mean rank over the proxies that the space names, 0 for the worst to 1 for the best.
    """

    student: Mapping[str, Any]
    params: int
    macs: int
    proxies: Mapping[str, float | None]
    score: float
    size: int | None = None
