"""What confirm's select compared and chose, and the students that screening ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
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
    """A student that was looked at without training.

    Args:
      student: plain.
      params, macs, size: its costs.
      proxies: mean score of each proxy over repeats, by name; None where it cannot judge this student, or gave no
        finite number.
      score: mean rank over what decides, sizes and the proxies that have earned it: 0 for the worst to 1 for the best.
      spread: standard deviation of each proxy's score over repeats, by name; none of those that were not repeated.
      repeats: seeds and batches over which the proxies were repeated.
      not_finite: names of the proxies that gave no finite number.
    """

    student: Mapping[str, Any]
    params: int
    macs: int
    proxies: Mapping[str, float | None]
    score: float
    size: int | None = None
    spread: Mapping[str, float] = dataclasses.field(default_factory=dict)
    repeats: int = 1
    not_finite: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ScreenedStudent:
        """Return the student of which `dataclasses.asdict` made this, after JSON."""
        return cls(**{**plain, "not_finite": tuple(plain.get("not_finite", ()))})


@dataclass
class Screening:
    """What screening says beside the students that it lists.

    Args:
      left_out: why a proxy could not be used here, by its name.
      lower_is_better: names of the proxies of which less is better.
      looked_at: students inside the budget among which those that are listed were chosen; 0 where that is not known.
      by: names of what decided when the students were listed.
      later: students that were scored before or after: those of trials, when they were asked, and those listed first.
    """

    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lower_is_better: tuple[str, ...] = ()
    looked_at: int = 0
    by: tuple[str, ...] = ()
    later: list[ScreenedStudent] = dataclasses.field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Return it as the values of its event."""
        return {
            "left_out": dict(self.left_out),
            "lower_is_better": [*self.lower_is_better],
            "looked_at": self.looked_at,
            "by": [*self.by],
        }


def screening_of(
    values: Mapping[str, Any], before: Sequence[ScreenedStudent]
) -> tuple[list[ScreenedStudent], Screening]:
    """Return the screened students and what else there is, given the values of their event.

    What an earlier version did not write down is as in the classes.

    Args:
      values: of the event.
      before: students that were scored before it.
    """
    rest = {name: values[name] for name in ("left_out", "looked_at") if name in values}
    lower, by = (tuple(values.get(name, ())) for name in ("lower_is_better", "by"))
    screening = Screening(**rest, lower_is_better=lower, by=by, later=[*before])
    return [*map(ScreenedStudent.from_plain, values["students"])], screening
