"""Which arm a study recommends, and what it is compared with: decided on validation, before the claim's first run.

The rule: among the arms, the simplest first, the first whose mean validation score is as good as the best one's. What
the search found must be better than every published recipe by more than chance: it is the best of many on the same
validation items, which more seeds do not make up for, and a recipe is not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autokd.metrics import Metric
from autokd.study.arms import simplicity
from autokd.study.design import Noise

LEAST, NOISE_SHARE = 0.003, 1 / 3
"""Arms count as equally good up to this difference of scores, 0.3 points, or this share of the spread between seeds."""
ERROR_SHARE = 0.5
"""Of the standard error of a share of the validation items: what was found must be so much better than a recipe."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """Which arm a round of confirm recommends.

    Args:
      round: of confirm.
      trials: how many there were.
      use: name of the arm.
      comparators: names of the arms that it is compared with, the one first that the verdict is about; () without a
        claim.
      means: validation score of each arm that could have been recommended: its mean over seeds, or its trial's at the
        top rung.
      tolerance: difference of scores up to which an arm counts as as good as the best one.
      margin: difference up to which a published recipe counts as as good as what was found.
      seeds: an arm, of the claim; 0 without one.
      reason: in words.
    """

    round: int
    trials: int
    use: str
    comparators: tuple[str, ...]
    means: Mapping[str, float]
    tolerance: float
    seeds: int
    reason: str
    margin: float = 0.0

    def to_plain(self) -> dict[str, Any]:
        """Return it as the values of its event."""
        return {**dataclasses.asdict(self), "comparators": list(self.comparators)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Use:
        """Inverse of `to_plain`."""
        return cls(**{**plain, "comparators": tuple(plain["comparators"])})


class Option(NamedTuple):
    """An arm that may be recommended.

    Args:
      name: of the arm.
      kind: of the arm; see `autokd.study.arms`.
      phrase: what it is called inside a sentence.
      reads_teacher: whether its losses read the teacher.
      scores: on validation, one a seed, more is better.
      published: it is a known recipe as it is.
    """

    name: str
    kind: str
    phrase: str
    reads_teacher: bool
    scores: Sequence[float]
    published: bool = False

    @property
    def mean(self) -> float:
        """Mean of the scores."""
        return float(np.mean(self.scores))


def tolerance(noise: Noise | None) -> float:
    """Return the difference of scores up to which a simpler arm counts as as good."""
    return max(LEAST, 0.0 if noise is None else NOISE_SHARE * noise.sd)


def found_margin(score: float, items: int, metric: Metric) -> float:
    """Return by how much what was found must be better than a recipe; 0 for metrics that are no share of items.

    Source: the rule of one standard error (Breiman et al., Classification and Regression Trees, 1984, section 3.4.3),
    half of it since both are scored on the same items.

    Args:
      score: of the best.
      items: of validation.
      metric: that it is of.
    """
    share = min(1.0, max(0.0, score))
    return ERROR_SHARE * math.sqrt(share * (1 - share) / items) if metric.unit == "%" else 0.0


def choose(options: Sequence[Option], within: float, margin: float = 0.0) -> Option:
    """Return the simplest arm whose mean is within so much of the best; among those of one kind, the best.

    Args:
      options: the arms that may be recommended.
      within: see `tolerance`.
      margin: see `found_margin`; where that arm was found, and a published recipe that is as simple is so near to the
        best, only published recipes count.

    >>> one, two = Option("alone", "alone", "", False, [0.8]), Option("pick", "pick", "", True, [0.802])
    >>> choose([two, one], 0.003).name, choose([two, one], 0.001).name
    ('alone', 'pick')
    """
    use, best = _simplest(options, within), max(option.mean for option in options)
    published = [option for option in options if option.published and simplicity(option.kind) <= simplicity(use.kind)]
    near = not use.published and any(option.mean >= best - margin for option in published)
    return _simplest(published, within) if near else use


def _simplest(options: Sequence[Option], within: float) -> Option:
    means = [option.mean for option in options]
    good = [(mean, option) for mean, option in zip(means, options, strict=True) if mean >= max(means) - within]
    return min(good, key=lambda row: (simplicity(row[1].kind), -row[0], row[1].name))[1]


def find_comparators(options: Sequence[Option], use: Option, by_hand: str | None) -> tuple[str, ...]:
    """Return what the recommended arm is compared with, by name, the arm first that the verdict is about.

    These are the best other arm, the best arm without a teacher, and hand KD; fewer where they are the same, or are
    recommended.

    Args:
      options: the arms that could have been recommended.
      use: the one that is.
      by_hand: name of the arm that is hand KD; None where there is none.
    """
    names = [_best_other(options, use), _best_alone(options, use), by_hand]
    return tuple(dict.fromkeys(name for name in names if name is not None and name != use.name))


def find_comparator(options: Sequence[Option], use: Option, by_hand: str | None) -> tuple[str, ...]:
    """Return the only arm that there is time to compare with: the best without a teacher, or hand KD where `use` is so.

    Args:
      options, use, by_hand: as for `find_comparators`.
    """
    first = _best_alone(options, use) if use.reads_teacher else by_hand
    names = [name for name in (first, _best_other(options, use)) if name is not None and name != use.name]
    return tuple(names[:1])


def _best_other(options: Sequence[Option], use: Option) -> str | None:
    others = [option for option in options if option.name != use.name]
    return max(others, key=lambda option: option.mean).name if others else None


def _best_alone(options: Sequence[Option], use: Option) -> str | None:
    """The best arm without a teacher; None where that is recommended."""
    alone = [option for option in options if not option.reads_teacher and option.name != use.name]
    return max(alone, key=lambda option: option.mean).name if alone and use.reads_teacher else None


def explain(options: Sequence[Option], use: Option, within: float, metric: Metric, margin: float = 0.0) -> str:
    """Say why an arm is recommended.

    Args:
      options: the arms that could have been recommended.
      use: the one that is.
      within: see `tolerance`.
      metric: that scores are of.
      margin: see `found_margin`.
    """
    best = max(options, key=lambda option: option.mean)
    seeds = len(use.scores)
    over = f"over {seeds} seeds" if seeds > 1 else "on one seed"
    shown = metric.text(metric.value(use.mean))
    if len(options) == 1:
        return f"{use.phrase} is the only arm: {shown} {over}"
    if best.mean == use.mean:
        return f"{use.phrase} has the best mean validation score of {len(options)} arms {over}, {shown}"
    behind = f"{use.phrase} has {shown} {over}, {metric.apart(best.mean - use.mean)} behind the best, {best.phrase}"
    if use.published and not best.published and best.mean - use.mean > within:
        return (
            f"{behind}; what is the best of many on the same validation items must be {metric.apart(margin)} better "
            "than a published recipe"
        )
    return f"{behind}; up to {metric.apart(within)} counts as equally good, and it is the simplest that is"
