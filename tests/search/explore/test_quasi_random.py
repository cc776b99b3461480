"""The quasi-random start: even in every coordinate, legal, and a function of space and seed."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from autokd.data import Dataset
from autokd.search.explore.quasi_random import quasi_random
from autokd.space import Drawn, Space
from autokd.spec import from_plain
from tests.search.spaces import resolved


def first(space: Space, count: int, seed: int = 1) -> list[Drawn]:
    return list(itertools.islice(quasi_random(space, seed), count))


def test_sixteen_points_lie_in_sixteen_strata(digits: Dataset) -> None:
    """Of 2^k points of a Sobol sequence, one lies in each of 2^k equal intervals; of random ones, hardly ever."""
    space = resolved(digits)
    found = [drawn.params for drawn in first(space, 16)]
    weights = np.array([np.log10(params["losses.ce.weight"]) for params in found if params])
    low, high = (np.log10(end) for end in (0.1, 1.0))
    assert sorted(np.floor((weights - low) / (high - low) * 16).astype(int)) == list(range(16))
    assert Counter(params["batch_size"] for params in found if params) == {32: 8, 64: 8}
    assert Counter(params["optimizer"] for params in found if params) == {"sgd": 8, "adamw": 8}


def test_the_number_of_losses_is_even_too(digits: Dataset) -> None:
    counts = Counter(len(drawn.plain["losses"]) - 1 for drawn in first(resolved(digits), 32))
    assert set(counts) == {0, 1, 2} and min(counts.values()) >= 9


def test_points_are_pipelines_of_the_space(digits: Dataset) -> None:
    space = resolved(digits)
    for drawn in first(space, 20):
        from_plain(drawn.plain)
        assert space.params_of(drawn.plain) == drawn.params


def test_the_sequence_is_a_function_of_space_and_seed(digits: Dataset) -> None:
    space = resolved(digits)
    assert first(space, 5) == first(space, 8)[:5] != first(space, 5, seed=2)
    assert len({str(drawn.plain) for drawn in first(space, 50)}) == 50
