"""`--time` as a plan: what fits, and what the clock says is left."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest
import torch

from autokd.data import Dataset
from autokd.engine.rung import curve_step
from autokd.search.stages import works
from autokd.search.timing.clock import CLOSING, CONFIRM_SHARE, Clock, seconds_per_epoch, spent
from autokd.search.timing.fit import (
    FEWEST_RUNS,
    LEAST_VIEWS,
    MORE_TRIALS,
    VIEWS_SHARE,
    Asked,
    Estimate,
    fit,
    fitting_samples,
    teacher_epochs,
)
from autokd.search.timing.measure import Probe, measure_costs, measure_hand
from autokd.search.work import Costs, Funnel, Parallel, Scope, Sizes, total_seconds
from autokd.space import Budget
from autokd.study.records import Records
from autokd.teaching.recipe import Effort
from autokd.types import Shapes
from tests.engine.helpers import teacher
from tests.search.records import trial
from tests.search.spaces import resolved

OWN = Budget(trials=60, epochs=27)
SIZES = Sizes(train=4_000, validation=1_000, test=10_000, classes=10)
COSTS = Costs(train=1e-4, answer=5e-5, teacher=2e-4)
BATCH = 64


def estimate(sizes: Sizes = SIZES, costs: Costs = COSTS, *, slots: int = 1, workers: int = 1) -> Estimate:
    """What the funnel as it is takes."""
    return Estimate(funnel=Funnel(works, Parallel(slots, workers)), sizes=sizes, costs=costs, batch=BATCH)


def hand(epochs: int, sizes: Sizes = SIZES) -> float:
    """Seconds of a hand run, added up: its samples, and a third of validation's for each point of the curve."""
    points = 1 + epochs / curve_step(epochs, sizes.train, sizes.validation)
    return COSTS.train * (epochs * sizes.train + points * sizes.validation / 3)


@pytest.mark.parametrize("runs", [1, 2, 5, 8, 15, 22, 40, 50, 70, 120, 300])
def test_what_is_planned_fits_and_more_trials_would_not(runs: int) -> None:
    left = runs * hand(27)
    found, of = fit(left, OWN, estimate()), estimate()
    assert of.seconds(found.budget, SIZES.train) <= left
    assert found.hand_runs == pytest.approx(left / hand(found.budget.epochs))
    if found.level.samples and found.budget.trials < MORE_TRIALS * OWN.trials:
        more = dataclasses.replace(found.budget, trials=found.budget.trials + 1)
        assert of.seconds(more, SIZES.train) > left


@pytest.mark.parametrize(
    ("runs", "level"),
    [
        *((4, 0), (11.9, 0), (12.1, 12), (17, 12), (20.1, 18), (35, 18)),
        *((36.1, 36), (44, 36), (48.1, 48), (60.1, 60), (100.1, 100)),
    ],
)
def test_hand_runs_say_how_thorough_a_study_is(runs: float, level: int) -> None:
    epochs = 20 if runs < 20 else 27
    found = fit(runs * hand(epochs), OWN, estimate(), Asked(epochs=epochs))
    assert found.level.least == level
    budget = found.budget
    assert bool(budget.claim_seeds) == (level >= 12) and budget.claim_seeds != 1
    assert bool(budget.choose_seeds) == (level >= 36)
    assert budget.grid == (level >= 60) and bool(budget.ablation_seeds) == (level >= 100)
    assert level < 36 or budget.fresh_claim == (level >= 48)
    assert level >= 18 or budget.trials <= budget.recipes


def test_explore_has_at_least_half_and_choosing_and_claiming_at_most_their_share() -> None:
    for runs in (20.1, 30, 36.1, 44, 48.1, 59, 70, 90, 130, 300):
        of = estimate()
        found = fit(runs * hand(27), OWN, of, Asked(epochs=27))
        foreseen = works(Scope(budget=found.budget))
        seconds = {w.stage: total_seconds([w], SIZES, SIZES.train, COSTS, Parallel()) for w in foreseen}
        left = runs * hand(27)
        share = (seconds.get("choose", 0.0) + seconds["claim"]) / left
        explored = (seconds["baselines"] + seconds["explore"]) / left
        assert share <= (0.45 if runs < 48 else 0.36), runs
        assert runs < 48 or explored >= 0.5 or found.budget.trials == MORE_TRIALS * OWN.trials, (runs, explored)


def test_full_length_is_the_spaces_own_then_shorter_down_to_the_least() -> None:
    lengths = [fit(runs * hand(27), OWN, estimate()).budget.epochs for runs in (4, 10, 18, 21, 25, 300)]
    assert lengths[0] == lengths[1] == 20 and lengths[-1] == lengths[-2] == 27
    assert lengths == sorted(lengths) and 20 < lengths[2] < 27
    large = SIZES._replace(train=54_000)  # 844 steps an epoch: two epochs have 1,500
    assert fit(60.0, OWN, estimate(large)).budget.epochs == 2
    small = SIZES._replace(train=800, validation=200)  # 13 steps an epoch
    assert fit(1e4, OWN, estimate(small)).budget.epochs == 4 * 27
    assert fit(10 * hand(20, small), OWN, estimate(small)).budget.epochs == 20
    assert fit(2 * hand(20, small), OWN, estimate(small)).budget.epochs < 20


def test_the_first_rung_has_its_least_steps_and_what_was_asked_for_stays() -> None:
    assert fit(1e3, OWN, estimate()).budget.rungs == 3  # 3 epochs of 63 steps
    assert fit(1e3, OWN, estimate(SIZES._replace(train=2_000)), Asked(epochs=27)).budget.rungs == 2
    assert fit(1e3, OWN, estimate(SIZES._replace(train=200)), Asked(epochs=27)).budget.rungs == 1
    asked = fit(1e3, OWN, estimate(), Asked(trials=30, epochs=9)).budget
    assert (asked.trials, asked.epochs) == (30, 9)
    quick = fit(130 * hand(27), OWN, estimate(), Asked(epochs=27, quick=True)).budget
    assert (quick.grid, quick.ablation_seeds, quick.fresh_claim) == (False, 0, False)
    assert (quick.choose_seeds, quick.claim_seeds) == (2, 2)


def test_the_training_set_is_cut_last_and_not_under_half() -> None:
    least = FEWEST_RUNS * hand(20)
    assert fitting_samples(1.01 * least, OWN, estimate()) == SIZES.train
    assert SIZES.train / 2 < fitting_samples(0.8 * least, OWN, estimate()) < SIZES.train
    assert fitting_samples(0.01, OWN, estimate()) == SIZES.train / 2


def test_a_teacher_trains_as_long_as_fits() -> None:
    each = COSTS.teacher_seconds(1, SIZES.train, SIZES.validation)
    assert teacher_epochs(1e6, 40, SIZES.train, estimate()) == 40
    assert 1 < teacher_epochs(10 * each, 40, SIZES.train, estimate()) <= 10
    assert teacher_epochs(0.0, 40, SIZES.train, estimate()) == 1
    assert teacher_epochs(0.0, 40, SIZES.train, estimate(costs=COSTS._replace(teacher=0.0))) == 40


def test_workers_make_more_fit() -> None:
    left = 30 * hand(27)
    one, four = fit(left, OWN, estimate()), fit(left, OWN, estimate(slots=4, workers=4))
    assert four.hand_runs == pytest.approx(4 * one.hand_runs) and four.budget.trials > one.budget.trials


def ticking(*times: float) -> Iterator[float]:
    yield from times


def test_a_clock_counts_sessions_before_and_keeps_time_for_the_end() -> None:
    now = ticking(100.0, 130.0, 200.0)
    clock = Clock(60.0, before=10.0, began=90.0, now=lambda: next(now))
    assert clock.left == pytest.approx(60 - 10 - 10 - CLOSING)
    assert clock.left == pytest.approx(60 - 10 - 40 - CLOSING)
    assert clock.left < 0
    endless = Clock(None, before=1e9, began=0.0)
    assert math.isinf(endless.left) and math.isinf(endless.left_to_explore(Records(), 40.0))


def test_explore_leaves_what_confirm_takes_but_no_more_than_its_share() -> None:
    records = Records()
    records.trials.update({i: trial(i, 0.5, 0.6, 0.7) for i in range(3)})
    each = seconds_per_epoch(records.trials.values())

    def left(limit: float, epochs: float) -> float:
        return Clock(limit, before=0.0, began=0.0, now=lambda: 0.0).left_to_explore(records, epochs)

    assert left(1e6, 360.0) == pytest.approx(1e6 - CLOSING - 360 * each)
    assert left(40.0, 360.0) == pytest.approx(40 - CLOSING - CONFIRM_SHARE * 40)


def test_what_killed_sessions_trained_counts_as_spent() -> None:
    records = Records()
    records.trials.update({0: trial(0, 0.5, 0.6)})
    assert spent(records) == pytest.approx(records.trials[0].seconds)
    records.apply({"event": "seconds", "time": 0.0, "stage": "explore", "seconds": 100.0})
    records.apply({"event": "seconds", "time": 0.0, "stage": "prepare", "seconds": 5.0})
    assert spent(records) == 105.0


def test_what_a_sample_costs_is_measured(digits: Dataset) -> None:
    space, before = resolved(digits), torch.get_num_threads()
    probe = Probe(
        data=digits,
        space=space,
        teacher=None,
        offers=Shapes(),
        device=torch.device("cpu"),
        threads=1,
        effort=Effort(40),
    )
    costs = measure_costs(probe)
    assert 0 < costs.answer < costs.teacher < 1 and 0 < costs.train < 1
    taught = dataclasses.replace(probe, teacher=teacher(digits.task))
    hand_costs = measure_hand(taught, 5.0)
    assert 0 < hand_costs.train < 1 and 0 < hand_costs.answer < 1 and hand_costs.teacher == 0
    assert before == torch.get_num_threads()


def test_a_teacher_that_answers_slowly_is_asked_about_fewer_views() -> None:
    left = 30 * hand(27)
    assert fit(left, OWN, estimate()).budget.views == 0
    slow = fit(left, OWN, estimate(costs=COSTS._replace(answer=20 * COSTS.train))).budget
    assert slow.views == LEAST_VIEWS < slow.epochs
    bears = fit(left, OWN, estimate(costs=COSTS._replace(answer=VIEWS_SHARE * left / SIZES.train / 9.5))).budget
    assert bears.views == 9
    own = dataclasses.replace(OWN, views=2)
    assert fit(left, own, estimate(costs=COSTS._replace(answer=20 * COSTS.train))).budget.views == 2
