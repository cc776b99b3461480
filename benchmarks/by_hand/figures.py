"""What the answers say: differences between sides with intervals that hold seeds and test items, and the tests.

Of one set: each side has one share of right answers a test item and seed of the study, the mean over its fresh runs.
SE² = s²(a) / n + s²(b) / n + v / items, with s² the variance between seeds of a side's accuracy and v the variance over
test items of the difference averaged over seeds; degrees of freedom by Welch and Satterthwaite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from autokd.study import intervals
from autokd.study.intervals import detectable_errors, half_width

ONE_SIDED = 0.95
RESAMPLES = 20_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One side minus another on a set, or on average over sets; shares in [-1, 1].

    Args:
      mean: of the difference.
      error: its standard error.
      df: degrees of freedom of the error.
      seeds: [seeds] the difference of each seed; empty for an average over sets.
    """

    mean: float
    error: float
    df: float
    seeds: NDArray[np.float64]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        margin = half_width(self.df) * self.error
        return self.mean - margin, self.mean + margin

    @property
    def margin(self) -> float:
        """How far the one-sided bound lies below the mean."""
        return float(stats.t.ppf(ONE_SIDED, self.df)) * self.error

    @property
    def lower(self) -> float:
        """The one-sided 95 % lower bound."""
        return self.mean - self.margin

    @property
    def detectable(self) -> float:
        """Smallest true difference that this design finds with 80 % power."""
        return detectable_errors(self.df) * self.error

    @property
    def p_worse(self) -> float:
        """One-sided p value against "the first side is not worse": small where it is worse."""
        if self.error == 0:
            return float(self.mean >= 0)
        return float(stats.t.cdf(self.mean / self.error, self.df))


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> Difference:
    """Compare two sides on a set.

    Args:
      one, other: [seeds, items] share of a seed's fresh runs that have the item right; at least two seeds.
    """
    seeds, items = one.shape
    scores = one.mean(axis=1), other.mean(axis=1)
    parts = [float(values.var(ddof=1)) / seeds for values in scores]
    item_part = float((one.mean(axis=0) - other.mean(axis=0)).var(ddof=1)) / items
    squares = sum(part**2 for part in parts) / (seeds - 1)
    return Difference(
        mean=float(scores[0].mean() - scores[1].mean()),
        error=math.sqrt(sum(parts) + item_part),
        df=(sum(parts) + item_part) ** 2 / squares if squares else math.inf,  # the items' part is as good as known
        seeds=scores[0] - scores[1],
    )


def mean_over_sets(differences: Sequence[Difference]) -> Difference:
    """Return the mean over sets, these sets and no others: its error is that of the sets' own errors."""
    parts = [(each.error / len(differences)) ** 2 for each in differences]
    squares = sum(part**2 / each.df for part, each in zip(parts, differences, strict=True))
    return Difference(
        mean=float(np.mean([each.mean for each in differences])),
        error=math.sqrt(sum(parts)),
        df=sum(parts) ** 2 / squares if squares else math.inf,
        seeds=np.array([]),
    )


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Return p values adjusted for their number (Holm, Scand. J. Statist. 1979), by name."""
    return dict(zip(values, intervals.holm(list(values.values())), strict=True))


def bootstrap_lower(differences: Sequence[Difference], share: float = 1 - ONE_SIDED) -> float:
    """Return the lower bound of the mean gain: sets are drawn again, and in each of them its seeds; one-sided.

    Args:
      differences: of sets that stand for others like them.
      share: of the resamples that lie below the bound.
    """
    rng = np.random.default_rng(0)
    sets = rng.integers(len(differences), size=(RESAMPLES, len(differences)))
    drawn = np.zeros(sets.shape)
    for number, each in enumerate(differences):
        there = sets == number
        seeds = rng.integers(len(each.seeds), size=(int(there.sum()), len(each.seeds)))
        drawn[there] = each.seeds[seeds].mean(axis=1)
    return float(np.quantile(drawn.mean(axis=1), share))


def wins_and_losses(differences: Sequence[Difference], detectable: float) -> tuple[int, int]:
    """Count the sets on which the first side is ahead, and behind, where a difference of this size could be seen."""
    telling = [each.mean for each in differences if each.detectable <= detectable]
    return sum(mean > 0 for mean in telling), sum(mean < 0 for mean in telling)
