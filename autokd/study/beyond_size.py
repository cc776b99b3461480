"""Kendall's tau-b of two series beyond what size explains, with an interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from autokd.study.fidelity import Tau

Floats = NDArray[np.float64]
RESAMPLES = 300
_RIDGE = 1e-9
_NOTHING = 1e-6
"""Share of a series' spread below which what is left of it counts as rounding."""


def beyond_size(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, sizes: Floats, groups: Sequence[Hashable]
) -> Tau | None:
    """Kendall's tau-b of what is left of two series once size is taken off, with a 95 % interval.

    Args:
      x, y: [n].
      sizes: [n, k], each above 0.
      groups: what is drawn together in the bootstrap: the student of each.
    Returns:
      None where nothing is left of a series.
    """
    series = [ranks_of(x), ranks_of(y)]
    design = _standard(np.column_stack([np.log(sizes), *(ranks_of(column)[:, None] for column in sizes.T)]))
    index = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    drawn = np.random.default_rng(0).multinomial(len(index), [1 / len(index)] * len(index), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, len(x))), drawn[:, [index[group] for group in groups]]])
    left = [_left(design, each, weights) for each in series]
    if any(
        each[0].std() <= _NOTHING * max(float(whole.std()), 1e-12) for each, whole in zip(left, series, strict=True)
    ):
        return None
    taus = _taus(left[0], left[1], weights)
    if not math.isfinite(taus[0]):
        return None
    error = 1.96 * float(np.nanstd(taus[1:], ddof=1))
    tau = float(taus[0])
    return Tau(tau, max(-1.0, tau - error), min(1.0, tau + error), len(x))


def ranks_of(values: Sequence[float] | Floats) -> Floats:
    """Return the ranks of values, from 1; equal ones share the mean."""
    from scipy.stats import rankdata  # slow to import

    ranks: Floats = rankdata(values)
    return ranks


def _standard(columns: Floats) -> Floats:
    """Columns scaled to mean 0 and spread 1, with one of ones; a constant one becomes zeros."""
    spread = columns.std(0)
    scaled = (columns - columns.mean(0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(columns)), scaled])


def _left(design: Floats, series: Floats, weights: Floats) -> Floats:
    """What a weighted least-squares fit leaves of a series in each resample: [n, k], [n], [R, n] -> [R, n]."""
    normal = np.einsum("ni,rn,nj->rij", design, weights, design, optimize=True)
    normal += _RIDGE * len(series) * np.eye(design.shape[1])
    right = np.einsum("ni,rn,n->ri", design, weights, series, optimize=True)
    fitted = np.linalg.solve(normal, right[..., None])[..., 0] @ design.T
    left: Floats = np.round(series[None] - fitted, 9)  # trials of one student are tied
    return left


def _taus(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Tau-b of each resample, [R, n] three times -> [R]; NaN where a series is constant."""
    taus = np.full(len(x), np.nan)
    for number, (one, other, weight) in enumerate(zip(x, y, weights, strict=True)):
        there = weight > 0
        a, b = (np.sign(each[there][:, None] - each[there][None, :]) for each in (one, other))
        pairs = np.outer(weight[there], weight[there])
        untied = (np.abs(a) * pairs).sum() * (np.abs(b) * pairs).sum()
        if untied > 0:
            taus[number] = (a * b * pairs).sum() / math.sqrt(untied)
    return taus
