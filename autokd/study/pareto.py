"""Which trials are best where there are several objectives: non-dominated ranks, and crowding within a rank.

Values are such that more is better. Source: Deb et al., NSGA-II, IEEE Transactions on Evolutionary Computation 2002.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from autokd.objective import ACCURACY, Objective
from autokd.study.records import RungRecord, TrialRecord

Values = Sequence[Sequence[float]]


def values_at(objective: Objective, trial: TrialRecord, rung: RungRecord) -> tuple[float, ...]:
    """Return what a trial reached in each objective at a rung, more is better."""
    return objective.values(rung.score, rung.metrics, trial.cost)


def finished_best_first(trials: Iterable[TrialRecord], rung: int, objective: Objective = ACCURACY) -> list[TrialRecord]:
    """Return the trials that finished a rung and did not fail, best there first.

    With one objective they are in the order of their scores. With several, those that no other one dominates come
    first, then those that only the former dominate, and so on; within such a rank, the less crowded, then the better in
    the first objective. The number breaks ties.
    """
    finished = [trial for trial in trials if trial.failure is None and len(trial.rungs) > rung]
    if not objective.several:
        return sorted(finished, key=lambda trial: (-trial.rungs[rung].score, trial.number))
    values = [values_at(objective, trial, trial.rungs[rung]) for trial in finished]
    ranks = non_dominated_ranks(values)
    crowding = crowding_distances(values, ranks)
    order = sorted(range(len(finished)), key=lambda i: (ranks[i], -crowding[i], -values[i][0], finished[i].number))
    return [finished[i] for i in order]


def front(trials: Iterable[TrialRecord], rung: int, objective: Objective) -> list[TrialRecord]:
    """Return the trials that finished a rung, and that no other one dominates there, in the same order."""
    ordered = finished_best_first(trials, rung, objective)
    ranks = non_dominated_ranks([values_at(objective, trial, trial.rungs[rung]) for trial in ordered])
    return [trial for trial, rank in zip(ordered, ranks, strict=True) if rank == 0]


def longest_front(trials: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Return the front of those trials that went furthest, so that all were trained for the same time."""
    alive = [trial for trial in trials if trial.failure is None and trial.rungs]
    return front(alive, max((len(trial.rungs) for trial in alive), default=1) - 1, objective)


def dominators(trials: Sequence[TrialRecord], rung: int, objective: Objective) -> list[int]:
    """Return by how many of the others each trial is dominated at a rung."""
    over = dominated([values_at(objective, trial, trial.rungs[rung]) for trial in trials])
    return [int(count) for count in over.sum(0)]


def dominated(values: Values) -> NDArray[np.bool_]:
    """Return who dominates whom, [n, n]: row i is at least as good as column j in all, and better in one objective."""
    array = _matrix(values)
    one, other = array[:, None, :], array[None, :, :]
    found: NDArray[np.bool_] = np.logical_and((one >= other).all(-1), (one > other).any(-1))
    return found


def non_dominated_ranks(values: Values) -> list[int]:
    """Return the rank of each: 0 where nothing dominates it, 1 where only those of rank 0 do, …"""
    over, ranks = dominated(values), np.full(len(values), -1)
    for rank in range(len(values)):
        left = ranks < 0
        ranks[left & ~over[left].any(0)] = rank
    return [int(rank) for rank in ranks]


def crowding_distances(values: Values, ranks: Sequence[int]) -> list[float]:
    """Return how far the neighbours of each are apart within its rank; infinite at the ends of an objective.

    Equal ones share a place: the first of them has its distance, the others 0.
    """
    array, rank = _matrix(values), np.asarray(ranks)
    distances = np.zeros(len(values))
    for level in set(ranks):
        members = np.flatnonzero(rank == level)
        _, first = np.unique(array[members], axis=0, return_index=True)
        members = members[np.sort(first)]
        for column in array[members].T:
            order = np.argsort(column, kind="stable")
            span = column[order[-1]] - column[order[0]]
            distances[members[order[[0, -1]]]] = np.inf
            if span > 0:
                distances[members[order[1:-1]]] += (column[order[2:]] - column[order[:-2]]) / span
    return [float(distance) for distance in distances]


def _matrix(values: Values) -> NDArray[np.float64]:
    """The values as an array, [n, objectives], of nothing too."""
    return np.asarray(values, dtype=float).reshape(len(values), -1 if len(values) else 0)
