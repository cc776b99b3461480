"""Racing over seeds: against numbers worked out by hand, and against simulated finalists."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import pytest

from autokd.search.confirm.racing import FIRST, Measure, Score, Standing, behind, choose, race
from autokd.study.design import Noise
from autokd.study.records import TrialRecord
from autokd.study.spread import rest_variance
from tests.search.records import trial

RESOLUTION = 1e-6
NOISE = Noise(0.01, 2, 0.9)


def table(scores: Mapping[int, Sequence[Score]], asked: list[tuple[int, int]] | None = None) -> Measure:
    """Measures from a table; notes what was asked for."""

    def measure(names: Sequence[int], seeds: Sequence[int]) -> dict[int, list[Score]]:
        if asked is not None:
            asked.extend((name, seed) for name in names for seed in seeds)
        return {name: [scores[name][seed] for seed in seeds] for name in names}

    return measure


def test_the_variance_that_pairing_leaves_by_hand() -> None:
    """Rows 1, 3, 8 and 2, 4, 6 less their means and the seeds' means leave -.5, -.5, 1 and their negatives: 3, df 2."""
    assert rest_variance([[1.0, 3.0, 8.0], [2.0, 4.0, 6.0]], None) == (pytest.approx(1.5), 2)
    assert rest_variance([[1.0, 3.0, 8.0], [2.0, 4.0, 6.0]], Noise(2.0, 2, 0.5)) == (pytest.approx((3 + 8) / 4), 4)
    assert rest_variance([[0.1, 0.4, 0.2], [0.2, 0.5, 0.3]], None) == (pytest.approx(0.0, abs=1e-30), 2)
    assert rest_variance([[0.1]], None) == (0.0, 0)
    assert rest_variance([], None) == (0.0, 0)


def test_a_candidate_with_fewer_seeds_still_counts() -> None:
    """The third seed was seen by one candidate only and says nothing of the rest."""
    both = rest_variance([[1.0, 4.0], [2.0, 2.0]], None)
    assert both == (pytest.approx(9 / 4), 1)
    assert rest_variance([[1.0, 4.0, 7.0], [2.0, 2.0]], None) == (pytest.approx(both[0]), 1)


def test_who_is_behind_by_hand() -> None:
    """Variance 1.5 with 2 df, three seeds: the error of a difference is 1; t(0.8; 2) = 1.06066."""
    scores: dict[int, list[Score]] = {1: [1.0, 3.0, 8.0], 2: [2.0, 4.0, 6.0]}
    assert behind(scores, [1, 2], 0.8, None, RESOLUTION) == set()
    for gap, expected in ((1.06, set()), (1.062, {2})):
        shifted = {1: [4.0 + s for s in scores[1] if s is not None], 2: [4.0 - gap + s for s in scores[2] if s]}
        assert behind(shifted, [1, 2], 0.8, None, RESOLUTION) == expected


def test_equal_differences_are_no_proof_of_no_noise() -> None:
    scores: dict[int, list[Score]] = {1: [0.900, 0.920], 2: [0.899, 0.919]}
    assert behind(scores, [1, 2], 0.8, None, 1e-6) == {2}
    assert behind(scores, [1, 2], 0.8, None, 0.004) == set()  # one of 250 items; t(0.8; 1) = 1.376


def simulated(means: Sequence[float], seeds: int, number: int, sd: float = 0.01) -> dict[int, list[Score]]:
    """Scores with a part that all candidates of a seed share."""
    random = np.random.default_rng(number)
    shared = random.normal(0, sd, seeds)
    return {k: [float(x) for x in mean + shared + random.normal(0, sd, seeds)] for k, mean in enumerate(means)}


@pytest.mark.parametrize("noise", [None, NOISE])
def test_the_truly_best_is_stopped_rarely(noise: Noise | None) -> None:
    """Under equality every candidate is the truly best: each may be stopped in 5 % of races, at most."""
    races = 500
    stopped = np.zeros(3)
    for number in range(races):
        found = race([0, 1, 2], table(simulated([0.9] * 3, 6, number)), most=6, noise=noise, resolution=RESOLUTION)
        stopped += [found[k].dropped_after is not None for k in range(3)]
    assert stopped.mean() / races > 0.002 and stopped.max() / races < 0.055


def test_a_clearly_worse_candidate_saves_its_seeds_and_no_other_is_lost() -> None:
    runs, kept = [], 0
    for number in range(200):
        asked: list[tuple[int, int]] = []
        scores = simulated([0.90, 0.91, 0.70], 6, number)
        found = race([0, 1, 2], table(scores, asked), most=6, noise=NOISE, resolution=RESOLUTION)
        kept += found[1].tied
        runs.append(sum(name == 2 for name, _ in asked))
        assert found[2].dropped_after == runs[-1] and not found[2].tied
    assert np.mean(runs) < 2.5 and kept >= 180


def test_all_get_the_first_seeds_and_a_race_with_one_left_ends() -> None:
    asked: list[tuple[int, int]] = []
    scores: dict[int, list[Score]] = {1: [0.9, 0.9], 2: [0.5, 0.5]}
    found = race([1, 2], table(scores, asked), most=8, noise=None, resolution=0.001)
    assert asked == [(1, 0), (1, 1), (2, 0), (2, 1)] and FIRST == 2
    assert found[2].dropped_after == 2 and found[1] == Standing([0.9, 0.9], None, True)


def test_the_order_of_candidates_changes_nothing() -> None:
    scores = simulated([0.90, 0.905, 0.86, 0.90], 5, 3)
    found = [race(p, table(scores), most=5, noise=NOISE, resolution=1e-3) for p in permutations(range(4))]
    assert all(one == found[0] for one in found)


def test_a_failed_run_stops_a_candidate_unless_all_fail() -> None:
    noise = Noise(0.01, 50, 0.9)
    scores: dict[int, list[Score]] = {1: [0.9, None, 0.9], 2: [0.8, 0.8, 0.8], 3: [0.81, 0.80, 0.79]}
    found = race([1, 2, 3], table(scores), most=3, noise=noise, resolution=0.001)
    assert found[1].dropped_after == 2 and found[1].mean == pytest.approx(0.45)
    assert found[2].tied and found[3].tied
    hopeless: dict[int, list[Score]] = {1: [None, None], 2: [None, None]}
    assert all(s.tied for s in race([1, 2], table(hopeless), most=2, noise=noise, resolution=0.001).values())


def test_one_seed_decides_by_the_score_unless_the_noise_is_known() -> None:
    scores: dict[int, list[Score]] = {1: [0.90], 2: [0.89]}
    alone = race([1, 2], table(scores), most=1, noise=None, resolution=0.001)
    assert (alone[1].tied, alone[2].tied, alone[2].dropped_after) == (True, False, None)
    assert race([1, 2], table(scores), most=1, noise=Noise(0.02, 2, 0.9), resolution=0.001)[2].tied


def finalist(number: int, losses: int, macs: float, params: float) -> TrialRecord:
    made = trial(number, 0.5, pipeline={"losses": {str(k): {} for k in range(losses)}})
    return dataclasses.replace(made, cost={"params": params, "macs": macs})


def test_the_best_expected_score_is_chosen_and_the_simpler_of_equal_ones() -> None:
    trials = [finalist(1, 3, 10, 10), finalist(2, 2, 2000, 9), finalist(3, 2, 1000, 9), finalist(4, 1, 1, 1)]
    stands = {trial.number: Standing([0.9, 0.9], None, True) for trial in trials[:3]}
    stands[4] = Standing([0.5, 0.5], 2, False)
    expected = {1: 0.92, 2: 0.91, 3: 0.91, 4: 0.95}
    best, reason = choose(trials, stands, expected)
    assert best.number == 1  # the one that was stopped is not asked
    assert reason == (
        "best expected validation score of 4 finalists, 92.0 %; clearly worse and stopped: trial 4 after 2"
    )
    best, reason = choose(trials[:3], stands, {1: 0.91, 2: 0.91, 3: 0.91})
    assert best.number == 3 and reason.endswith("91.0 %; as good and no simpler: trial 1, trial 2")
    equal = [finalist(5, 2, 10, 10), finalist(6, 2, 10, 10)]
    even = {5: stands[1], 6: stands[1]}
    assert (
        choose(equal, even, {5: 0.9, 6: 0.9})[0].number == 5 and choose(equal, even, {5: 0.9, 6: 0.91})[0].number == 6
    )
    assert choose(trials[:1], stands, expected) == (trials[0], "the only finalist")
