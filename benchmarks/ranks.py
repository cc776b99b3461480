"""Rank correlations with their intervals, as the benchmarks of proxies state them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
DRAWS = 1000
"""Bootstrap samples."""


def kendall(score: Values, target: Values) -> float:
    """Return Kendall's tau-b; a score that is no number ranks last, ties with its like, and NaN where all tie."""
    return float(stats.kendalltau(ranked(score), target).statistic)


def spearman(score: Values, target: Values) -> float:
    """Return Spearman's rank correlation, see `kendall`."""
    return float(np.corrcoef(ranked(score), ranked(target))[0, 1])


def ranked(score: Values) -> Values:
    """Return ranks from 1, ties at their mean; what is no number ranks last, with minus infinity."""
    return np.asarray(stats.rankdata(np.where(np.isnan(score), -np.inf, score)))


def taus(score: Values, target: Values, weights: Values) -> Values:
    """Return tau-b for several weightings of the rows; of whole numbers, that of rows drawn so many times.

    Args:
      score, target: [n]; see `kendall`.
      weights: [draws, n].
    """
    first, second = (np.sign(np.subtract.outer(values, values)) for values in (ranked(score), ranked(target)))
    same, a, b = (
        np.einsum("di,ij,dj->d", weights, each, weights, optimize=True)
        for each in (first * second, first**2, second**2)
    )
    return np.asarray(same / np.sqrt(a * b))


def drawn(size: int, seed: int = 0) -> Values:
    """Return how often each of so many rows is in each bootstrap sample, [draws, size]."""
    return np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)


def interval(values: Values) -> tuple[float, float]:
    """Return the 95 % interval of bootstrap values."""
    return float(np.nanquantile(values, 0.025)), float(np.nanquantile(values, 0.975))


def told(score: Values, target: Values) -> str:
    """Return tau and its interval as text."""
    low, high = interval(taus(score, target, drawn(len(score))))
    return f"{kendall(score, target):.3f} [{low:.2f}, {high:.2f}]"


def apart(ours: Values, theirs: Values, target: Values) -> str:
    """Return how much higher our tau is, with its paired interval, as text."""
    weights = drawn(len(target))
    low, high = interval(taus(ours, target, weights) - taus(theirs, target, weights))
    return f"{kendall(ours, target) - kendall(theirs, target):+.2f} [{low:+.2f}, {high:+.2f}]"


def told_spearman(score: Values, target: Values) -> str:
    """Return Spearman's correlation and its bootstrap interval as text."""
    rng, size = np.random.default_rng(0), len(score)
    samples = [rng.integers(size, size=size) for _ in range(DRAWS // 5)]
    low, high = interval(np.array([spearman(score[rows], target[rows]) for rows in samples]))
    return f"{spearman(score, target):.3f} [{low:.3f}, {high:.3f}]"


def log_rank_sum(*scores: Values) -> Values:
    """Return the sum over scores of the logarithm of a score's rank among all, from 1: the aggregate of AZ-NAS."""
    return np.asarray(sum(np.log(ranked(score)) for score in scores))


def rank_mean(*scores: Values) -> Values:
    """Return the mean rank among all over scores."""
    return np.asarray(np.mean([ranked(score) for score in scores], 0))


def residual(score: Values, *sizes: Values) -> Values:
    """Return what a linear function of some sizes leaves of a score's ranks; of the sizes the ranks count, too."""
    design = np.stack([np.ones(len(score)), *(ranked(size) for size in sizes)], 1)
    outcome = ranked(score)
    return np.asarray(outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0])


def within(score: Values, target: Values, size: Values, strata: int) -> float:
    """Return the mean tau inside strata of equal size, weighted by pairs; strata where something is constant count 0.

    Args:
      score, target: [n].
      size: [n], what the strata are cut by, into equally many rows.
      strata: how many.
    """
    parts = cut(size, strata)
    found = [np.nan_to_num(kendall(score[rows], target[rows])) for rows in parts]
    return float(np.average(found, weights=pairs(parts)))


def told_within(score: Values, target: Values, size: Values, strata: int) -> str:
    """Return that mean tau and its interval as text, from a bootstrap over the rows of each stratum."""
    low, high = interval(_within_draws(score, target, size, strata))
    return f"{within(score, target, size, strata):.2f} [{low:.2f}, {high:.2f}]"


def apart_within(ours: Values, theirs: Values, target: Values, size: Values, strata: int) -> str:
    """Return how much higher our mean tau inside strata is, with its paired interval, as text."""
    ahead = within(ours, target, size, strata) - within(theirs, target, size, strata)
    drawings = (_within_draws(each, target, size, strata) for each in (ours, theirs))
    low, high = interval(np.subtract(*drawings))
    return f"{ahead:+.2f} [{low:+.2f}, {high:+.2f}]"


def cut(size: Values, strata: int) -> list[NDArray[np.intp]]:
    """Return the rows of strata with equally many, from the smallest on."""
    return np.array_split(np.argsort(size, kind="stable"), strata)


def pairs(parts: list[NDArray[np.intp]]) -> list[float]:
    """Return the number of pairs of rows in each part."""
    return [len(rows) * (len(rows) - 1) / 2 for rows in parts]


def _within_draws(score: Values, target: Values, size: Values, strata: int) -> Values:
    parts = cut(size, strata)
    found = [taus(score[rows], target[rows], drawn(len(rows), seed)) for seed, rows in enumerate(parts)]
    return np.asarray(np.average(np.nan_to_num(found), axis=0, weights=pairs(parts)))
