"""Bootstrap intervals over test items and seeds at once, for what several students answered on the same items."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autokd.study.intervals import LEVEL

Floats = NDArray[np.float64]
Interval = tuple[float, float]
RESAMPLES = 400
MOST_CELLS = 20_000_000
"""Weights that are held at once; of more items fewer resamples are taken, at least 100."""


def mean_interval(values: NDArray[np.generic]) -> Interval:
    """Return the 95 % interval of a mean over seeds and items.

    Args:
      values: [S, N] of each seed on each item.
    """
    seeds, items = values.shape
    return _between(_over_seeds(values.astype(np.float64) @ item_weights(items).T, seeds))


def error_interval(gaps: Sequence[tuple[NDArray[np.int64], Floats]], bins: int) -> Interval:
    """Return the 95 % interval of an expected calibration error, the mean over seeds.

    An error of resampled items is larger than that of the items, since more noise is taken for error; the mean excess
    is taken off.

    Args:
      gaps: of each seed the bin of each item, [N], and how far its confidence lies above its being right, [N].
      bins: how many there are.
    """
    rows, points = [], []
    for number, gap in gaps:
        sums = np.zeros((len(gap), bins))
        sums[np.arange(len(gap)), number] = gap
        rows.append(np.abs(item_weights(len(gap)) @ sums).sum(1))
        points.append(np.abs(sums.mean(0)).sum())
    found = _over_seeds(np.array(rows), len(rows))
    return _between(np.maximum(found - (found.mean() - np.mean(points)), 0.0))


@functools.lru_cache(maxsize=4)
def item_weights(items: int) -> Floats:
    """Return how much each of N items counts in each resample, [R, N]; the same in each call."""
    resamples = max(100, min(RESAMPLES, MOST_CELLS // max(1, items)))
    return _weights(items, resamples, seed=0)


def _over_seeds(means: Floats, seeds: int) -> Floats:
    """Means [S, R] of each seed in each resample of the items -> [R], over a resample of the seeds too."""
    weights = _weights(seeds, means.shape[1], seed=1)
    mean: Floats = (means.T * weights).sum(1)
    return mean


def _weights(number: int, resamples: int, *, seed: int) -> Floats:
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    weights: Floats = drawn / number
    return weights


def _between(found: Floats) -> Interval:
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
