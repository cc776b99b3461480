"""`--time` as a plan: what fits, and what the clock says is left."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest
import torch

from autokd.data import Dataset
from autokd.engine.rung import curve_step
from autokd.search.explore.halving import rung_plan, trial_epochs
from autokd.search.explore.stages import POLICIES
from autokd.search.stages import works
from autokd.search.timing import fit as timing
from autokd.search.timing.clock import CLOSING, CONFIRM_SHARE, Clock, seconds_per_epoch, spent
from autokd.search.timing.fit import Estimate, Fitted
from autokd.search.timing.measure import Probe, measure_costs
from autokd.search.work import Costs, Funnel, Parallel, Scope, Sizes, total_epochs
from autokd.space import Budget
from autokd.study.records import Records
from tests.search.records import trial
from tests.search.spaces import resolved

OWN = Budget(trials=60, epochs=27, confirm_epochs=54)
SIZES = Sizes(train=54_000, validation=6_000, test=10_000, classes=10)
COSTS = Costs(train=1e-4, answer=5e-5, teacher=2e-4)


GRID_RUNS = 6 + 6 + 4
"""Of the pick and vanilla KD, and of the student alone, which has no weights to tune."""


def fit(
    seconds: float, own: Budget, sizes: Sizes, costs: Costs, *, slots: int = 1, workers: int = 1, may_limit: bool = True
) -> Fitted:
    """Fit the funnel as it is into a time."""
    estimate = Estimate(funnel=Funnel(works, Parallel(slots, workers)), sizes=sizes, costs=costs)
    return timing.fit(seconds, own, estimate, may_limit=may_limit)


def confirm_epochs(budget: Budget, *, grid: bool, workers: int) -> float:
    """What confirm takes, as epochs of training."""
    confirm = [work for work in works(Scope(budget=budget, grid=grid)) if work.part == "confirm"]
    return total_epochs(confirm, SIZES, workers)


def expected(found: Fitted, costs: Costs = COSTS) -> float:
    """Seconds of a study, added up run by run, without the teacher's training."""
    budget = found.budget

    def run(epochs: float) -> float:
        points = 1 + epochs / curve_step(budget.epochs, found.samples, SIZES.validation)
        return costs.train * (epochs * found.samples + points * SIZES.validation / 3)

    confirm = budget.finalists * budget.select_seeds + (GRID_RUNS if found.grid else 0) + 3 * budget.claim_seeds
    answers = POLICIES * budget.epochs + budget.claim_seeds * budget.confirm_epochs
    trials = 5 * run(budget.epochs) + (budget.trials - 2) * run(trial_epochs(budget))
    predicted = 3 * budget.claim_seeds * (SIZES.validation + SIZES.test) * costs.train / 3
    return trials + confirm * run(budget.confirm_epochs) + answers * found.samples * costs.answer + predicted


def test_a_trial_climbs_as_far_as_its_share() -> None:
    assert rung_plan(OWN) == [3, 9, 27]
    assert trial_epochs(dataclasses.replace(OWN, branch=0.0)) == pytest.approx(3 + 6 / 3 + 18 / 9)
    assert trial_epochs(dataclasses.replace(OWN, branch=0.5)) == pytest.approx(4.5 + (6 + 4.5) / 3 + 18 / 9)


@pytest.mark.parametrize("hours", [0.05, 0.1, 0.5, 2, 8, 30])
def test_what_is_planned_fits_and_hardly_more_would(hours: float) -> None:
    seconds = 3600 * hours
    found = fit(seconds, OWN, SIZES, COSTS)
    left = seconds * (1 - timing.TEACHER_SHARE - timing.ASIDE_SHARE) - timing.ASIDE
    assert expected(found) <= left
    if found.budget.epochs < timing.LONGER * OWN.epochs:
        longer = dataclasses.replace(
            found.budget,
            epochs=found.budget.epochs + 1,
            confirm_epochs=round((found.budget.epochs + 1) * found.budget.confirm_epochs / found.budget.epochs),
        )
        more = found._replace(budget=longer)
        assert expected(more if found.samples == SIZES.train else found._replace(samples=2 * found.samples)) > left
    assert found.budget.teacher_epochs * found.samples * COSTS.teacher <= timing.TEACHER_SHARE * seconds


def test_more_time_never_means_less() -> None:
    times = [60 * 1.3**k for k in range(30)]
    found = [fit(seconds, OWN, SIZES, COSTS) for seconds in times]
    for trials in {f.budget.trials for f in found}:
        work = [f.samples * f.budget.confirm_epochs for f in found if f.budget.trials == trials]
        assert work == sorted(work)
    assert [f.budget.trials for f in found] == sorted(f.budget.trials for f in found)
    assert found[0].samples < 10_000 and found[-1] == Fitted(
        dataclasses.replace(OWN, epochs=108, confirm_epochs=216), 54_000, True
    )


def test_with_hardly_any_time_the_least_is_planned_and_with_a_fixed_training_set_it_stays() -> None:
    least = fit(1.0, OWN, SIZES, COSTS)
    assert (least.samples, least.budget.epochs, least.budget.confirm_epochs) == (500, 6, 6)
    assert least.budget.teacher_epochs == 1
    assert fit(1.0, OWN, SIZES, COSTS, may_limit=False).samples == SIZES.train


def test_no_teacher_to_train_leaves_its_length_alone_and_more_to_the_rest() -> None:
    given = fit(600, OWN, SIZES, COSTS._replace(teacher=0.0))
    own = fit(600, OWN, SIZES, COSTS)
    assert given.budget.teacher_epochs == OWN.teacher_epochs > own.budget.teacher_epochs
    assert given.samples * given.budget.epochs > own.samples * own.budget.epochs


def test_workers_make_more_fit() -> None:
    one, four = fit(600, OWN, SIZES, COSTS), fit(600, OWN, SIZES, COSTS, slots=4, workers=4)
    assert four.samples * four.budget.epochs > 2 * one.samples * one.budget.epochs


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


def test_what_confirm_takes_is_its_runs_and_its_predictions() -> None:
    budget = Budget(finalists=3, select_seeds=3, claim_seeds=5, confirm_epochs=10)
    runs = 9 + 16 + 15
    predicted = 15 * 16_000 / 3 / 54_000
    assert confirm_epochs(budget, grid=True, workers=1) == pytest.approx(10 * runs + predicted)
    assert confirm_epochs(budget, grid=False, workers=2) == pytest.approx(5 * (runs - 16) + predicted)


def test_what_killed_sessions_trained_counts_as_spent() -> None:
    records = Records()
    records.trials.update({0: trial(0, 0.5, 0.6)})
    assert spent(records) == pytest.approx(records.trials[0].seconds)
    records.apply({"event": "seconds", "time": 0.0, "stage": "explore", "seconds": 100.0})
    records.apply({"event": "seconds", "time": 0.0, "stage": "prepare", "seconds": 5.0})
    assert spent(records) == 105.0


def test_what_a_sample_costs_is_measured(digits: Dataset) -> None:
    space = resolved(digits)
    costs = measure_costs(Probe(data=digits, space=space, teacher=None, device=torch.device("cpu"), threads=1, seed=0))
    assert 0 < costs.answer < costs.teacher < 1 and 0 < costs.train < 1
    before = torch.get_num_threads()
    assert before == torch.get_num_threads()
