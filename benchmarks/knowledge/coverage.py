"""Pipelines that cover a space: of many random draws inside the limits those that lie far apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.search.limits import inside, pipeline_cost
from autokd.search.session import Setup
from autokd.seeds import derive

POOL = 6
"""Draws for each pipeline that is kept."""


def covering(setup: Setup, count: int, seed: int) -> list[Mapping[str, Any]]:
    """Return plain pipelines that lie far apart (Gonzalez, 1985), inside the limits.

    Args:
      setup: of a search.
      count: how many.
      seed: of the draws.
    """
    rng = np.random.default_rng(derive(seed, "coverage"))
    pool: list[Mapping[str, Any]] = []
    for number in range(20 * POOL * count):
        drawn = setup.space.sample(rng, number)
        if inside(pipeline_cost(drawn.plain, setup.data.task, setup.offers), setup.space.constraints):
            pool.append(drawn.plain)
        if len(pool) == POOL * count:
            break
    return [pool[index] for index in far_apart([_flat(plain) for plain in pool], count)]


def far_apart(rows: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Return places of rows, from the first on the next one always as far as possible from all before it.

    Args:
      rows: values by name.
      count: how many.
    """
    points = _points(rows)
    chosen = [0]
    nearest = np.abs(points - points[0]).sum(1)
    while len(chosen) < min(count, len(rows)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(points - points[chosen[-1]]).sum(1))
    return chosen


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: value}
    return {name: found for key, each in value.items() for name, found in _flat(each, f"{path}.{key}").items()}


def _points(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Rows as points whose city-block distance is Gower's: numbers by rank, and half a unit for each other word."""
    columns = []
    for name in sorted({key for row in rows for key in row}):
        values = [row.get(name) for row in rows]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if numbers and len(set(numbers)) > 1:
            order = sorted(set(numbers))
            columns.append([order.index(v) / (len(order) - 1) if v in order else -0.5 for v in values])
        else:
            words = [repr(value) for value in values]
            columns += [[0.5 * (word == each) for word in words] for each in sorted(set(words))]
    return np.asarray(columns, dtype=np.float64).T
