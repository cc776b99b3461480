"""Several objectives: ranks against a brute force, the order of trials, what is promoted and what is given up."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from autokd.objective import ACCURACY, Objective
from autokd.search.explore.halving import Halving, hopeless_trials, next_job
from autokd.study.pareto import (
    crowding_distances,
    dominators,
    finished_best_first,
    front,
    longest_front,
    non_dominated_ranks,
)
from autokd.study.records import TrialRecord
from tests.search.records import EPOCHS, trial

BOTH = Objective(("accuracy", "params"))


def costing(number: int, params: float, *scores: float, failure: str | None = None) -> TrialRecord:
    return dataclasses.replace(trial(number, *scores, failure=failure), cost={"params": params, "macs": 1})


def beats(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def brute_force(values: list[tuple[float, ...]]) -> list[int]:
    """Peel one front after another."""
    ranks, left, rank = [-1] * len(values), set(range(len(values))), 0
    while left:
        best = {i for i in left if not any(beats(values[j], values[i]) for j in left)}
        for i in best:
            ranks[i] = rank
        left, rank = left - best, rank + 1
    return ranks


@pytest.mark.parametrize(("seed", "size", "objectives"), list(itertools.product(range(6), (1, 7, 40), (1, 2, 3))))
def test_ranks_are_those_of_a_brute_force(seed: int, size: int, objectives: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, 6, (size, objectives))  # few values: many are equal
    values = [tuple(float(x) for x in row) for row in drawn]
    assert non_dominated_ranks(values) == brute_force(values)


def test_nothing_has_no_ranks() -> None:
    assert non_dominated_ranks([]) == [] and crowding_distances([], []) == []
    assert finished_best_first([], 0, BOTH) == [] and longest_front([], BOTH) == []


def test_the_ends_of_a_front_are_least_crowded_and_copies_most() -> None:
    values = [(0.0, 4.0), (1.0, 3.0), (1.5, 2.5), (4.0, 0.0), (1.0, 3.0)]
    distances = crowding_distances(values, [0] * 5)
    assert distances[0] == distances[3] == math.inf
    assert distances[1] == pytest.approx(1.5 / 4 + 1.5 / 4) and distances[2] == pytest.approx(3 / 4 + 3 / 4)
    assert distances[4] == 0.0


def test_trials_come_by_rank_then_by_room_around_them_then_by_score_and_number() -> None:
    trials = [
        costing(0, 100, 0.90),
        costing(1, 50, 0.80),
        costing(2, 45, 0.79),
        costing(3, 10, 0.60),
        costing(4, 100, 0.85),  # dominated by 0
        costing(5, 120, 0.84),  # dominated by 0 and 4
        costing(6, 10, 0.60),  # a copy of 3
        costing(7, 1, 0.99, failure="error"),
        costing(8, 1),
    ]
    assert [t.number for t in finished_best_first(trials, 0, BOTH)] == [0, 3, 2, 1, 6, 4, 5]
    assert [t.number for t in front(trials, 0, BOTH)] == [0, 3, 2, 1, 6]
    assert dominators(trials[:7], 0, BOTH) == [0, 0, 0, 0, 1, 2, 0]
    assert [t.number for t in finished_best_first(trials, 0, ACCURACY)] == [0, 4, 5, 1, 2, 3, 6]


def test_the_front_is_of_the_trials_that_went_furthest() -> None:
    trials = [costing(0, 100, 0.5, 0.9), costing(1, 10, 0.5, 0.6), costing(2, 100, 0.5, 0.7), costing(3, 1, 0.8)]
    assert [t.number for t in longest_front(trials, BOTH)] == [0, 1]


def test_the_front_is_promoted_and_not_only_the_best_score() -> None:
    trials = {
        t.number: t
        for t in [
            costing(0, 100, 0.90),
            costing(1, 100, 0.89),
            costing(2, 10, 0.50),
            costing(3, 90, 0.40),
            costing(4, 95, 0.30),
            costing(5, 99, 0.20),
        ]
    }
    promoted = []
    for objective in (ACCURACY, BOTH):
        halving = Halving(top_rung=2, eta=3, objective=objective)
        first = next_job(trials, [], halving, wanted=6)
        assert first is not None
        second = next_job(trials, [(first.number, 1)], halving, wanted=6)
        assert second is not None and first.rung == second.rung == 1
        promoted.append([first.number, second.number])
    assert promoted == [[0, 1], [0, 2]]


def test_what_is_given_up_is_never_promoted_later() -> None:
    """With several objectives a trial may rise in the order as others come; one with many dominators does not."""
    rng, halving = np.random.default_rng(4), Halving(top_rung=len(EPOCHS) - 1, eta=3, objective=BOTH)
    for _ in range(30):
        coming = [costing(n, float(rng.integers(1, 6)), float(rng.integers(1, 8)) / 10) for n in range(14)]
        given_up: set[int] = set()
        for count in range(1, 15):
            trials = {t.number: t for t in coming[:count]}
            given_up |= set(hopeless_trials(trials, halving, wanted=14))
            best = finished_best_first(trials.values(), 0, BOTH)[: count // 3]
            assert not given_up & {t.number for t in best}
