"""What a claim is worth: differences between arms with intervals, verdicts, and what the design could have seen.

The error of a difference has two parts: runs differ by seed, and the test set is a sample of items. Both enter:
SE² = 2 s² / n + v / n_test, with s² the variance between seeds pooled over all arms, and v the variance over test items
of the paired difference (averaged over seeds). For accuracy, a mean over items, v is that of the items' differences;
for any other metric v / n_test is the variance of the difference over bootstrap samples of the test items, the same
samples for all arms and seeds. The intervals of a claim hold all at once (`autokd.study.intervals.Family`).
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from autokd.metrics import METRICS, Metric, Predictions
from autokd.study.arms import phrase_of
from autokd.study.claim import Comparison
from autokd.study.intervals import PAIR, Family, half_width

MOST_SEEDS = 200
RESAMPLES = 400
"""Bootstrap samples of the test items; they give a variance, known to 7 % then."""
UNEQUAL = 0.975
"""Variances are pooled unless their ratio exceeds this quantile of F: few seeds give ratios of 20 by chance alone."""


class Pair(NamedTuple):
    """Two arms that are compared.

    Args:
      arm, other: their names; the result is `arm` minus `other`.
      family: the comparisons whose intervals hold together.
      phrase: what the other arm is called inside a sentence; None: what arms of its name are called.
    """

    arm: str
    other: str
    family: Family = PAIR
    phrase: str | None = None


def compare(correct: Mapping[str, NDArray[np.bool_]], pair: Pair) -> Comparison:
    """Compare two arms of a claim.

    Args:
      correct: by arm, [seeds, items]: whether the student of that seed was right on that test item.
      pair: the arms.
    """
    arm, other = pair.arm, pair.other
    items = correct[arm].shape[1]
    scores = {name: values.mean(axis=1) for name, values in correct.items()}
    item_variance = float((correct[arm].mean(axis=0) - correct[other].mean(axis=0)).var(ddof=1)) / items
    return _compare(METRICS["accuracy"], scores, item_variance, pair)


class Measured(NamedTuple):
    """What a metric says of a claim's students on the test split.

    Args:
      scores: by arm, [seeds].
      resampled: by arm, [resamples]: the mean over seeds on bootstrap samples of the items, the same for all arms.
    """

    scores: dict[str, NDArray[np.float64]]
    resampled: dict[str, NDArray[np.float64]]


def measure(metric: Metric, found: Mapping[str, Sequence[Predictions | None]]) -> Measured:
    """Measure every arm's students, on the test split and on bootstrap samples of it.

    Args:
      metric: what is measured.
      found: by arm, the answers of each seed's student; None for a run that failed, which counts the metric's worst.
    """

    some = next((answers for row in found.values() for answers in row if answers is not None), None)
    items, rng = 0 if some is None else len(some.labels), np.random.default_rng(0)
    samples = [torch.from_numpy(rng.integers(items, size=items)) for _ in range(RESAMPLES if items else 0)]
    return Measured(
        {arm: np.array([_value(metric, answers) for answers in row]) for arm, row in found.items()},
        {arm: np.array(_resampled(metric, row, samples)) for arm, row in found.items()},
    )


def _value(metric: Metric, answers: Predictions | None) -> float:
    return metric.worst if answers is None else metric.of(answers)


def _resampled(metric: Metric, row: Sequence[Predictions | None], samples: Sequence[Tensor]) -> list[float]:
    """Means over seeds on samples of the items; where no student answered, the metric's worst again and again."""
    if not samples:
        return [metric.worst] * RESAMPLES
    takes = ([None if answers is None else answers.take(index) for answers in row] for index in samples)
    return [float(np.mean([_value(metric, answers) for answers in drawn])) for drawn in takes]


def compare_measured(metric: Metric, found: Measured, pair: Pair) -> Comparison:
    """Compare two arms of a claim by a metric; see `compare`."""
    item_variance = float((found.resampled[pair.arm] - found.resampled[pair.other]).var(ddof=1))
    return _compare(metric, found.scores, item_variance, pair)


def _compare(metric: Metric, scores: Mapping[str, NDArray[np.float64]], item_variance: float, pair: Pair) -> Comparison:
    """Compare two arms.

    Args:
      metric: that the scores are of.
      scores: by arm, [seeds].
      item_variance: of the difference of the two means, as far as the test items decide it.
      pair: the arms.
    """
    arm, other, family = pair.arm, pair.other, pair.family
    seeds = len(scores[arm])
    difference = float(scores[arm].mean() - scores[other].mean())
    seed_variance, df = _seed_variance(scores, arm, other)
    error = math.sqrt(seed_variance / seeds + item_variance)
    margin = family.half_width(df) * error
    verdict, needed = _verdict(metric.score(difference), margin), None
    if verdict == "not distinguishable":
        needed = _seeds_needed(abs(difference), seed_variance, item_variance, len(scores), family)
    detectable = family.detectable_errors(df) * error
    compared = Comparison(
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        standard_error=error,
        df=df,
        detectable=detectable,
        verdict=verdict,
        seeds_needed=needed,
        text="",
    )
    return dataclasses.replace(compared, text=_sentence(metric, compared, pair.phrase or phrase_of(other)))


def prediction_interval(
    scores: Sequence[float], items: int, metric: Metric = METRICS["accuracy"]
) -> tuple[float, float]:
    """Return the 95 % interval for the test value of one more run with a fresh seed.

    Args:
      scores: test values of at least two runs.
      items: of the test split; runs that agree by chance still differ by an item or so.
      metric: that they are of.
    """
    values = np.asarray(scores, dtype=float)
    half = half_width(len(values) - 1) * max(float(values.std(ddof=1)), 1 / items) * math.sqrt(1 + 1 / len(values))
    return max(metric.low, float(values.mean() - half)), min(metric.high, float(values.mean() + half))


def gap_closed(recommended: float, alone: float, teacher: float, metric: Metric = METRICS["accuracy"]) -> float | None:
    """Share of the gap between student alone and teacher that was closed; None where the teacher is not better."""
    gap = teacher - alone
    return (recommended - alone) / gap if metric.score(gap) > 0 else None


def _seed_variance(scores: Mapping[str, NDArray[np.float64]], arm: str, other: str) -> tuple[float, float]:
    """Variance of a difference of two single runs, and its degrees of freedom."""
    variances = {name: float(values.var(ddof=1)) for name, values in scores.items()}
    free = {name: len(values) - 1 for name, values in scores.items()}
    smallest, largest = min(variances.values()), max(variances.values())
    lowest = min(free.values())
    if largest <= smallest * float(special.fdtri(lowest, lowest, UNEQUAL)) or largest == 0:
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


def _seeds_needed(
    difference: float, seed_variance: float, item_variance: float, arms: int, family: Family
) -> int | None:
    """Smallest number of seeds an arm whose interval would leave zero out, at the seen difference and variances."""

    def tells(seeds: int) -> bool:
        error = math.sqrt(seed_variance / seeds + item_variance)
        return family.half_width(arms * (seeds - 1)) * error < difference

    seeds = bisect.bisect_left(range(MOST_SEEDS + 1), True, lo=2, key=tells)
    return seeds if seeds <= MOST_SEEDS else None


def _sentence(metric: Metric, compared: Comparison, name: str) -> str:
    interval = f"[{metric.signed(compared.low)}, {metric.signed(compared.high)}]"
    if compared.verdict != "not distinguishable":
        return f"{compared.verdict} than {name} by {metric.apart(abs(compared.difference))} {interval}"
    seen, needed = f"{metric.signed(compared.difference)} {metric.difference_unit}".rstrip(), compared.seeds_needed
    more = f"about {needed} seeds would be needed" if needed else "more seeds would not tell: the test set is too small"
    return (
        f"not distinguishable from {name}: {seen} {interval}; {more}; "
        f"this comparison sees differences from {metric.apart(compared.detectable)}"
    )
