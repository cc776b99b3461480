"""Picking the order of the recipes from records: a greedy portfolio."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from autokd.recipes.records import RunRow

Scores = Mapping[str, Mapping[str, float]]
"""By data set and recipe: 1 for the best recipe of the set, 0 for the worst."""


def greedy_order(rows: Iterable[RunRow], first: Sequence[str] = ("kd", "alone")) -> list[str]:
    """Return the recipes of the records in the order in which they help most, those that come first in any case ahead.

    The next recipe is the one that raises most the mean, over data sets, of the best normalised score so far (Feurer et
    al., Auto-sklearn 2.0, JMLR 2022, arXiv 2007.04074, section 3.1); among equals the one with the higher mean score of
    its own, then by name. A recipe that has no run on a set adds nothing there. Read are validation scores alone.

    Args:
      rows: runs of recipes; rows without one are passed over.
      first: names that stay ahead, in this order, as far as the records have them.
    """
    scores = normalised(rows)
    names = sorted({name for recipes in scores.values() for name in recipes})
    order = [name for name in first if name in names]
    while left := [name for name in names if name not in order]:
        own = {name: _reached(scores, [name]) for name in left}
        order.append(max(left, key=lambda name: (_reached(scores, [*order, name]), own[name])))
    return order


def normalised(rows: Iterable[RunRow]) -> Scores:
    """Return each recipe's mean validation score over seeds, on each set scaled to 1 for the best and 0 for the worst.

    Where all are equal they are 1. A set is one of its name under one limit.
    """
    runs: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.recipe is not None:
            place = f"{row.dataset} {dict(sorted(row.limit.items()))}"
            runs.setdefault(place, {}).setdefault(row.recipe, []).append(row.validation)
    means = {place: {name: statistics.fmean(seeds) for name, seeds in found.items()} for place, found in runs.items()}
    return {place: _scaled(found) for place, found in means.items()}


def _scaled(scores: Mapping[str, float]) -> dict[str, float]:
    worst, best = min(scores.values()), max(scores.values())
    return {name: (score - worst) / (best - worst) if best > worst else 1.0 for name, score in scores.items()}


def _reached(scores: Scores, names: Iterable[str]) -> float:
    """Mean over sets of the best score of some recipes."""
    chosen = list(names)
    return statistics.fmean(max(found.get(name, 0.0) for name in chosen) for found in scores.values())
