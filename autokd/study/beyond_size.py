"""Kendall's tau-b of two series beyond what size explains, with an interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.study.fidelity import Tau

Floats = NDArray[np.float64]
RESAMPLES = 300
_RIDGE = 1e-9
_NOTHING = 1e-6
"""Share of a series' spread below which what is left of it counts as rounding."""


class Series(NamedTuple):
    """Two series of one study.

    Args:
      x, y: [n].
      sizes: [n, k], each above 0.
      groups: what is drawn together in the bootstrap: the student of each.
    """

    x: Sequence[float] | Floats
    y: Sequence[float] | Floats
    sizes: Floats
    groups: Sequence[Hashable]


def beyond_size(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, sizes: Floats, groups: Sequence[Hashable]
) -> Tau | None:
    """Kendall's tau-b of what is left of two series once size is taken off, with a 95 % interval.

    Args:
      x, y, sizes, groups: see `Series`.
    Returns:
      None where nothing is left of a series.
    """
    return pooled_beyond_size([Series(x, y, sizes, groups)])


def pooled_beyond_size(studies: Sequence[Series]) -> Tau | None:
    """The same over several studies: size is taken off within each, and only pairs within one are compared.

    The bootstrap draws students within each study, so its interval is one for these studies.

    Returns:
      None where nothing is left of a series in any study.
    """
    counted = [counts for place, series in enumerate(studies) if (counts := _counted(series, place)) is not None]
    if not counted:
        return None
    agreeing, untied_x, untied_y = np.sum(counted, axis=0)
    untied = untied_x * untied_y
    taus = np.divide(agreeing, np.sqrt(untied), out=np.full(len(untied), np.nan), where=untied > 0)
    if not math.isfinite(taus[0]):
        return None
    error = 1.96 * float(np.nanstd(taus[1:], ddof=1))
    tau = float(taus[0])
    return Tau(tau, max(-1.0, tau - error), min(1.0, tau + error), sum(len(series.x) for series in studies))


def _counted(series: Series, place: int) -> Floats | None:
    """What tau-b is made of, for all rows and for each resample, [3, 1 + R]: see `_pairs`; None: nothing is left."""
    both = [ranks_of(series.x), ranks_of(series.y)]
    design = _standard(np.column_stack([np.log(series.sizes), *(ranks_of(size)[:, None] for size in series.sizes.T)]))
    index = {group: number for number, group in enumerate(dict.fromkeys(series.groups))}
    drawn = np.random.default_rng(place).multinomial(len(index), [1 / len(index)] * len(index), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, len(both[0]))), drawn[:, [index[group] for group in series.groups]]])
    left = [_left(design, each, weights) for each in both]
    if any(each[0].std() <= _NOTHING * max(float(whole.std()), 1e-12) for each, whole in zip(left, both, strict=True)):
        return None
    return _pairs(left[0], left[1], weights)


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


def _pairs(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pairs that agree less those that do not, and those untied in x and in y, of each resample: [R, n] -> [3, R]."""
    found = np.zeros((3, len(x)))
    for number, (one, other, weight) in enumerate(zip(x, y, weights, strict=True)):
        there = weight > 0
        a, b = (np.sign(each[there][:, None] - each[there][None, :]) for each in (one, other))
        pairs = np.outer(weight[there], weight[there])
        found[:, number] = (a * b * pairs).sum(), (np.abs(a) * pairs).sum(), (np.abs(b) * pairs).sum()
    return found
