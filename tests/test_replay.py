"""The arithmetic of the replay benchmark: what a replayed search costs, picks and is judged by."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("benchmarks.replay", reason="the benchmarks are not part of this copy")

from benchmarks.replay.__main__ import speed
from benchmarks.replay.crossing import ALL
from benchmarks.replay.searchers import SEARCHERS, VARIANTS, FlatSpace, run
from benchmarks.replay.synthetic import MadeUp, Task, Trials, regrets
from benchmarks.replay.table import Point, Replay, Spent, Table, difference, interval, reached, worth


@pytest.fixture(scope="module")
def table() -> Table:
    """Pipeline i is worth i / 1000; its three seeds differ by 0.03 around that where i is even, and not elsewhere."""
    truth = np.arange(len(ALL)) / 1000
    spread = np.where(np.arange(len(ALL)) % 2 == 0, 0.03, 0.0)
    top = truth[:, None] + spread[:, None] * np.array([-1.0, 0.0, 1.0])
    score = np.stack([top / 4, top / 2, top], axis=2)
    seconds = np.broadcast_to(np.array([1.0, 3.0, 9.0]), score.shape).copy()
    ones = np.ones(len(ALL))
    return Table(epochs=(2, 6, 18), score=score, seconds=seconds, params=100 * ones, macs=1000 * ones)


def test_noise_is_that_of_the_better_half(table: Table) -> None:
    assert table.truth == pytest.approx(np.arange(len(ALL)) / 1000)
    assert table.noise == pytest.approx(0.03 / math.sqrt(2))  # half of the pipelines have a variance of 0.03 squared
    score = table.score.copy()
    score[: len(ALL) // 2, 0] = np.nan  # failed runs of bad pipelines
    worse = Table(epochs=table.epochs, score=score, seconds=table.seconds, params=table.params, macs=table.macs)
    assert worse.noise == table.noise and worse.truth[0] < 0 + 0.02
    assert worse.truth[100] == pytest.approx((0.1 + 0.13) / 3)


def test_a_rung_costs_what_it_adds(table: Table) -> None:
    replay = Replay(table, seed=0, budget=100)
    seed = replay.begin(7)
    for rung, (tops, seconds) in enumerate([(2 / 18, 1.0), (6 / 18, 3.0), (1.0, 9.0)]):
        assert replay.rung(7, seed, rung) == table.score[7, seed, rung]
        assert (replay.tops, replay.seconds) == (pytest.approx(tops), pytest.approx(seconds))
    replay.rung(8, replay.begin(8), 2, done=0)  # from the start
    assert (replay.tops, replay.seconds) == (pytest.approx(2.0), pytest.approx(18.0))


def test_another_run_of_a_pipeline_has_another_seed(table: Table) -> None:
    replay = Replay(table, seed=1, budget=100)
    seeds = [replay.begin(4) for _ in range(6)]
    assert sorted(seeds[:3]) == [0, 1, 2] and seeds[3:] == seeds[:3]


def test_the_pick_is_the_best_mean_at_the_highest_rung_that_was_reached(table: Table) -> None:
    replay = Replay(table, seed=0, budget=100)
    replay.rung(299, replay.begin(299), 0)
    assert replay.points[-1].truth == pytest.approx(0.299)
    replay.rung(11, replay.begin(11), 2, done=0)  # a bad one, but it went further
    assert replay.points[-1].truth == pytest.approx(0.011)
    for seed in (2, 0, 0):
        replay.rung(12, seed, 2, done=0)
    assert [p.truth for p in replay.points[-3:]] == pytest.approx([0.012, 0.012, 0.011])  # means 0.042, 0.012, 0.002


def test_a_budget_ends_a_replay(table: Table) -> None:
    replay = Replay(table, seed=0, budget=0.5)
    replay.rung(0, 0, 2)
    with pytest.raises(Spent):
        replay.rung(1, 0, 0)
    assert len(replay.points) == 1


CURVE = [Point(1.0, 10.0, 0.2), Point(2.0, 12.0, 0.6), Point(3.0, 30.0, 0.5)]


def test_worth_and_reached() -> None:
    assert [worth(CURVE, tops) for tops in (0.5, 1.0, 2.9, 9.0)] == [0.0, 0.2, 0.6, 0.5]
    assert worth(CURVE, 11.0, "seconds") == 0.2
    assert reached(CURVE, 0.55, "tops") == 2.0 and reached(CURVE, 0.55, "seconds") == 12.0
    assert reached(CURVE, 0.7, "tops") == math.inf


def test_twice_as_fast_is_twice_as_fast() -> None:
    theirs = [[Point(t, 10.0 * t, 0.1 * t + shift) for t in range(1, 11)] for shift in (-0.01, 0.0, 0.01)]
    ours = [[Point(p.tops, p.seconds / 2, p.truth) for p in points] for points in theirs]
    ratio, low, high = speed(ours, theirs, 8)
    assert ratio == pytest.approx(2.0, rel=0.01) and low <= ratio <= high
    assert speed(theirs, theirs, 8)[0] == pytest.approx(1.0, rel=0.01)


def test_intervals_hold_the_mean_and_shrink_with_the_number_of_searches() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=20), rng.normal(size=500)
    for values in (few, many):
        low, high = interval(values)
        assert low < values.mean() < high
        assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(len(values)), rel=0.15)
    low, high = difference(many + 1, few)
    assert low < many.mean() + 1 - few.mean() < high
    both = math.hypot(*(values.std() / math.sqrt(len(values)) for values in (few, many)))
    assert high - low == pytest.approx(2 * 1.96 * both, rel=0.15)


@pytest.mark.parametrize("name", ["random", "Optuna TPE", "Optuna TPE + SHA pruner", "autokd", *list(VARIANTS)[1:]])
def test_searchers_keep_to_the_budget_and_repeat_themselves(table: Table, name: str) -> None:
    search = {**SEARCHERS, **VARIANTS}[name]
    first, again = (run(search, table, 3, 4.0).points for _ in range(2))
    assert first == again and 4.0 <= first[-1].tops < 5.0
    assert all(a.tops < b.tops for a, b in itertools.pairwise(first))


def test_points_of_the_flat_space_are_its_pipelines() -> None:
    space = FlatSpace()
    drawn = space.place(lambda name: {"student": 0.0, "augment": 0.99, "loss": 0.3, "learning_rate": 0.5}[name], 0)
    assert drawn.params == {"student": "cnn4", "augment": "erasing", "loss": "kd", "learning_rate": 1}
    assert space.params_of(drawn.plain) == drawn.params


def test_made_up_scores_are_effects_and_parabolas() -> None:
    task = Task.drawn(3)
    params: dict[str, Any] = dict(MadeUp().place(lambda _: 0.5, 0).params or {})
    better = {**params, "learning_rate": 10 ** (task.rate - (1.3 if params["optimizer"] == "adamw" else 0.0))}
    rate = math.log10(params["learning_rate"]) - math.log10(better["learning_rate"])
    assert task.score(better) - task.score(params) == pytest.approx(1.5 * rate**2)
    other = {**params, "student": "mobile"}
    effects = task.effects["student"]
    assert task.score(other) - task.score(params) == pytest.approx(effects["mobile"] - effects[params["student"]])
    assert task.score({**params, "batch_size": 500}) == task.score(params)
    best, median = task.scale
    assert best > median


def test_regret_is_that_of_the_best_as_scored_judged_without_noise() -> None:
    task = Task.drawn(0)
    trials, params = Trials(task, 0), MadeUp().place(lambda _: 0.5, 0).params or {}
    best, median = task.scale
    trials.score(params)
    trials.score(params)
    assert trials.regrets == pytest.approx([(best - task.score(params)) / (best - median)] * 2)


@pytest.mark.parametrize("name", ["random", "Optuna TPE", "autokd"])
def test_searches_of_made_up_scores_repeat_themselves(name: str) -> None:
    assert regrets(name, 12, 1) == regrets(name, 12, 1) != regrets(name, 12, 2)
    assert len(regrets(name, 12, 1)) == 12
