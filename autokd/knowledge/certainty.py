"""Means over sources of data: intervals, tests, and what many questions at once leave of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import special

from autokd.study.intervals import half_width
from autokd.study.means import Mean

ENOUGH = 3
"""Sources of data without which no interval is given."""


def mean_of(values: Sequence[float]) -> tuple[Mean, float]:
    """Return the mean with its t interval, and the p-value of no mean; of fewer than `ENOUGH` values both are open.

    >>> mean, p = mean_of([1.0, 2.0, 3.0])
    >>> print(f"{mean.value:.0f} [{mean.low:.2f}, {mean.high:.2f}] {p:.3f}")
    2 [-0.48, 4.48] 0.074
    """
    mean = statistics.fmean(values)
    if len(values) < ENOUGH:
        return Mean(mean, -math.inf, math.inf), 1.0
    return _tested(mean, statistics.stdev(values) / math.sqrt(len(values)), len(values) - 1)


def difference_of(one: Sequence[float], other: Sequence[float]) -> tuple[Mean, float]:
    """Return by how much the second mean is larger, with its interval, and its p-value (Welch, Biometrika 34, 1947)."""
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    total = sum(parts)
    sizes = (len(one), len(other))
    df = total**2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True)) if total else sum(sizes) - 2
    return _tested(statistics.fmean(other) - statistics.fmean(one), math.sqrt(total), df)


def _tested(value: float, error: float, df: float) -> tuple[Mean, float]:
    half = half_width(df) * error
    p = float(2 * special.stdtr(df, -abs(value) / error)) if error > 0 else float(value == 0)
    return Mean(value, value - half, value + half), p
