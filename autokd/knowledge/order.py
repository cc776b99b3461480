"""The order in which pipelines are worth trying, given what each past study says of each of them.

Pure arithmetic on a matrix, so that a search can go on with it from its own record, without the base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Values = NDArray[np.float64]
ENOUGH = 4
"""Studies below which nothing is preferred to KD by hand."""
BELIEF = 0.5
"""Share of what sets a study apart from the mean of all that is believed when more than one pipeline is chosen."""
LEAST_TRIED = 5
"""Trials below which no past study is judged by them."""
BEHIND = -0.5
"""Standard deviations of rank behind KD by hand from which on a pipeline is tried after all others."""
LIKELY = 0.95
"""Confidence with which another pipeline is preferred to KD by hand."""
SURE = 0.05
"""Level at which a past study is dropped."""


def first_choice(said: Values, weights: Values, by_hand: int, tried: NDArray[np.bool_]) -> int:
    """Return the place of the pipeline that is recommended before any trial.

    It is KD by hand, unless the past studies that really tried another one beside it say that this is better, and
    hardly by chance: the lower one-sided 95 % bound of its mean advantage over these studies (paired, Student's t) is
    above zero. Of several it is the one with the largest bound. What is only guessed does not come first.

    Args:
      said: quantile of each pipeline in each past study, [S, n].
      weights: how much each study counts, [S].
      by_hand: place of KD by hand.
      tried: whether a study tried a pipeline, [S, n].
    """
    bounds = [_bound(said, weights, by_hand, place, tried) for place in range(said.shape[1])]
    best = max(range(len(bounds)), key=bounds.__getitem__)
    return best if bounds[best] > 0 else by_hand


def far_behind(said: Values, weights: Values, by_hand: int, tried: NDArray[np.bool_]) -> list[bool]:
    """Return for each pipeline whether past studies that tried it saw it well behind KD by hand on average.

    Args:
      said, weights, by_hand, tried: as for `first_choice`.
    """
    both = [_ahead(said, weights, by_hand, place, tried) for place in range(said.shape[1])]
    return [bool(len(own)) and float(own @ ahead) < BEHIND * own.sum() for ahead, own in both]


def _ahead(said: Values, weights: Values, by_hand: int, place: int, tried: NDArray[np.bool_]) -> tuple[Values, Values]:
    """A pipeline's advantage over KD by hand in each study that tried both, and the weights of these."""
    both = tried[:, place] & tried[:, by_hand]
    return said[both, place] - said[both, by_hand], weights[both]


def _bound(said: Values, weights: Values, by_hand: int, place: int, tried: NDArray[np.bool_]) -> float:
    """Lower bound of a pipeline's mean advantage over KD by hand, over the studies that tried both."""
    ahead, own = _ahead(said, weights, by_hand, place, tried)
    if place == by_hand or len(own) < ENOUGH:
        return -math.inf
    own = own / own.sum()
    mean, count = float(own @ ahead), 1 / float(own @ own)
    if count <= 1:
        return -math.inf
    error = math.sqrt(float(own @ (ahead - mean) ** 2) / (count - 1))
    return mean - float(stdtrit(count - 1, LIKELY)) * error


def worth_trying(said: Values, weights: Values, tried: Sequence[int] = ()) -> list[int]:
    """Return places of pipelines that are not tried yet, the one that is most worth trying first.

    The first is the best on average; each further one raises most the mean over studies of the best so far (a greedy
    portfolio: Wistuba, Schilling and Schmidt-Thieme, DSAA 2015; Feurer et al., JMLR 2022). What a single study says is
    noisy, so half of what sets it apart from the mean is believed.

    Args:
      said: quantile of each pipeline in each past study, [S, n]; more is better.
      weights: how much each study counts, [S], 0 or above.
      tried: places that were tried already.
    """
    means = weights @ said
    best = said[:, list(tried)].max(1) if len(tried) else np.full(len(said), said.min(initial=0.0) - 1)
    left, order = [place for place in range(said.shape[1]) if place not in set(tried)], list[int]()
    while left:
        reached = weights @ np.maximum(best[:, None], said[:, left])
        keys = [
            (round(float(value), 6), float(means[place]), -place) for value, place in zip(reached, left, strict=True)
        ]
        chosen = left[max(range(len(left)), key=keys.__getitem__)]
        order.append(chosen)
        left.remove(chosen)
        best = np.maximum(best, said[:, chosen])
    return order


def believed(said: Values, weights: Values, scores: Mapping[int, float]) -> Values:
    """Return the weights without the studies that rank this study's trials wrongly, and not by chance.

    A study is dropped where Kendall's rank correlation of what it says with what the trials reached is below zero
    (more than half of the pairs are ranked wrongly) at the level of 5 %, one-sided. Where all are dropped, all are 0.

    Args:
      said: quantile of each pipeline in each past study, [S, n].
      weights: how much each study counts, [S].
      scores: of the pipelines that were tried, by place.
    """
    if len(scores) < LEAST_TRIED:
        return weights
    from scipy.stats import kendalltau  # slow to import

    places = list(scores)
    reached = [scores[place] for place in places]
    kept = np.ones(len(weights))
    for study, row in enumerate(said[:, places]):
        found = kendalltau(row, reached, alternative="less")
        kept[study] = not (math.isfinite(found.pvalue) and found.pvalue < SURE)
    total = float((weights * kept).sum())
    return weights * kept / total if total else weights * 0.0
