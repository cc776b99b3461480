"""What a claim is worth: differences between arms with intervals, verdicts, and what the design could have seen.

The error of a difference has two parts: runs differ by seed, and the test set is a sample of items. Both enter:
SE² = 2 s² / n + v / n_test, with s² the variance between seeds pooled over all arms, and v the variance over test items
of the paired difference (averaged over seeds).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
POWER = 0.80
MOST_SEEDS = 200
UNEQUAL = 0.975
"""Variances are pooled unless their ratio exceeds this quantile of F: few seeds give ratios of 20 by chance alone."""

ARM_NAMES = {"ce": "the student alone", "kd": "vanilla KD"}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Recommended minus another arm, test accuracy in [0, 1].

    Args:
      difference: of the means over seeds.
      low, high: 95 % interval.
      standard_error, df: what it rests on.
      detectable: smallest true difference that this design finds with 80 % power.
      verdict: "better", "worse" or "not distinguishable".
      seeds_needed: seeds an arm that would tell a difference of this size, or None where no number of seeds would.
      text: one sentence for people.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    df: float
    detectable: float
    verdict: str
    seeds_needed: int | None
    text: str


def compare(correct: Mapping[str, NDArray[np.bool_]], arm: str, other: str) -> Comparison:
    """Compare two arms of a claim.

    Args:
      correct: by arm, [seeds, items]: whether the student of that seed was right on that test item.
      arm, other: the arms; the result is `arm` minus `other`.
    """
    seeds, items = correct[arm].shape
    scores = {name: values.mean(axis=1) for name, values in correct.items()}
    difference = float(scores[arm].mean() - scores[other].mean())
    seed_variance, df = _seed_variance(scores, arm, other)
    item_variance = float((correct[arm].mean(axis=0) - correct[other].mean(axis=0)).var(ddof=1)) / items
    error = math.sqrt(seed_variance / seeds + item_variance)
    margin = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
    verdict = _verdict(difference, margin)
    needed = _seeds_needed(abs(difference), seed_variance, item_variance) if verdict == "not distinguishable" else None
    detectable = float(stats.t.ppf((1 + LEVEL) / 2, df) + stats.t.ppf(POWER, df)) * error
    text = _sentence(verdict, difference, margin, ARM_NAMES.get(other, other), needed, detectable)
    return Comparison(
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        standard_error=error,
        df=df,
        detectable=detectable,
        verdict=verdict,
        seeds_needed=needed,
        text=text,
    )


def identical(comparison: Comparison, other: str) -> Comparison:
    """Return the comparison of an arm with a baseline that it equals: the search ended at the baseline itself."""
    text = f"the same as {ARM_NAMES.get(other, other)}: the search found nothing better on validation"
    return dataclasses.replace(comparison, seeds_needed=None, text=text)


def prediction_interval(scores: Sequence[float], items: int) -> tuple[float, float]:
    """Return the 95 % interval for the test accuracy of one more run with a fresh seed.

    Args:
      scores: test accuracies of at least two runs.
      items: of the test split; runs that agree by chance still differ by an item or so.
    """
    values = np.asarray(scores, dtype=float)
    half = (
        float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1))
        * max(float(values.std(ddof=1)), 1 / items)
        * math.sqrt(1 + 1 / len(values))
    )
    return max(0.0, float(values.mean() - half)), min(1.0, float(values.mean() + half))


def gap_closed(recommended: float, alone: float, teacher: float) -> float | None:
    """Share of the gap between student alone and teacher that was closed; None where the teacher is not better."""
    return (recommended - alone) / (teacher - alone) if teacher > alone else None


def as_plain(comparison: Comparison) -> dict[str, Any]:
    return asdict(comparison)


def _seed_variance(scores: Mapping[str, NDArray[np.float64]], arm: str, other: str) -> tuple[float, float]:
    """Variance of a difference of two single runs, and its degrees of freedom."""
    variances = {name: float(values.var(ddof=1)) for name, values in scores.items()}
    free = {name: len(values) - 1 for name, values in scores.items()}
    smallest, largest = min(variances.values()), max(variances.values())
    lowest = min(free.values())
    if largest <= smallest * float(stats.f.ppf(UNEQUAL, lowest, lowest)) or largest == 0:
        total = sum(free.values())
        return 2 * sum(variances[name] * free[name] for name in scores) / total, float(total)
    pair = variances[arm] + variances[other]
    if pair == 0:
        return 0.0, float(free[arm] + free[other])
    df = pair**2 / (variances[arm] ** 2 / free[arm] + variances[other] ** 2 / free[other])
    return pair, df


def _verdict(difference: float, margin: float) -> str:
    if difference - margin > 0:
        return "better"
    return "worse" if difference + margin < 0 else "not distinguishable"


def _seeds_needed(difference: float, seed_variance: float, item_variance: float) -> int | None:
    """Smallest number of seeds an arm whose interval would leave zero out, at the seen difference and variances."""
    for seeds in range(2, MOST_SEEDS + 1):
        error = math.sqrt(seed_variance / seeds + item_variance)
        if stats.t.ppf((1 + LEVEL) / 2, 3 * (seeds - 1)) * error < difference:
            return seeds
    return None


def _sentence(verdict: str, difference: float, margin: float, name: str, needed: int | None, detectable: float) -> str:
    low, high = 100 * (difference - margin), 100 * (difference + margin)
    interval = f"[{low:+.1f}, {high:+.1f}]"
    if verdict != "not distinguishable":
        return f"{verdict} than {name} by {100 * abs(difference):.1f} points {interval}"
    more = f"about {needed} seeds would be needed" if needed else "more seeds would not tell: the test set is too small"
    return (
        f"not distinguishable from {name}: {100 * difference:+.1f} points {interval}; {more}; "
        f"this comparison sees differences from {100 * detectable:.1f} points"
    )
