"""What to do next, from hand-made records: baselines, promotions, failures, new trials."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autokd.search.explore.halving import Halving, Job, climb, hopeless_trials, next_job
from autokd.study.records import RungRecord, TrialRecord
from tests.search.records import trial


def job(*trials: TrialRecord, wanted: int = 100, eta: int = 3, top_rung: int = 2) -> Job | None:
    return next_job({t.number: t for t in trials}, (), Halving(top_rung=top_rung, eta=eta), wanted=wanted)


def test_an_empty_study_asks_for_trial_zero() -> None:
    assert job() == (0, None)
    assert job(wanted=0) is None


def test_a_trial_that_was_asked_is_trained_before_another_is_asked() -> None:
    assert job(trial(0)) == (0, 0)
    assert job(trial(0, 0.9), trial(1)) == (1, 0)


def test_baselines_go_to_the_top_first_whatever_they_score() -> None:
    ce, kd = trial(0, 0.1, source="recipe:alone"), trial(1, source="recipe:kd")
    assert job(ce) == (0, 1)
    assert job(trial(0, 0.1, 0.1, source="recipe:alone"), kd) == (0, 2)
    assert job(trial(0, 0.1, 0.1, 0.1, source="recipe:alone"), kd) == (1, 0)
    assert job(trial(0, 0.1, 0.1, 0.1, source="recipe:alone"), trial(1, 0.1, 0.2, 0.3, source="recipe:kd")) == (
        2,
        None,
    )


def test_the_best_third_of_a_rung_goes_on() -> None:
    assert job(trial(0, 0.5), trial(1, 0.6)) == (2, None)
    assert job(trial(0, 0.5), trial(1, 0.7), trial(2, 0.6)) == (1, 1)
    promoted = trial(1, 0.7, 0.8)
    assert job(trial(0, 0.5), promoted, trial(2, 0.6)) == (3, None)
    assert job(trial(0, 0.5), promoted, trial(2, 0.6), trial(3, 0.9), trial(4, 0.1)) == (3, 1)
    assert job(trial(0, 0.5), promoted, trial(2, 0.6), trial(3, 0.4), trial(4, 0.1), trial(5, 0.2)) == (2, 1)


def test_eta_two_promotes_the_better_half() -> None:
    assert job(trial(0, 0.5), trial(1, 0.6), eta=2) == (1, 1)
    assert job(trial(0, 0.5), trial(1, 0.6, 0.6), eta=2) == (2, None)


def test_the_highest_promotion_comes_first() -> None:
    reached = [trial(0, 0.9, 0.5), trial(1, 0.8, 0.7), trial(2, 0.7, 0.6)]
    waiting = [trial(number, 0.1 + number / 1000) for number in range(3, 12)]
    assert job(*reached, *waiting) == (1, 2)
    assert job(reached[0], trial(1, 0.8, 0.7, 0.7), reached[2], *waiting) == (11, 1)


def test_of_equal_scores_the_earlier_trial_goes_on() -> None:
    assert job(trial(0, 0.5), trial(1, 0.5), trial(2, 0.5)) == (0, 1)


def test_the_scores_of_a_rung_are_compared_at_that_rung() -> None:
    """A trial that has gone on does not win by its longer training."""
    assert job(trial(0, 0.5, 0.99), trial(1, 0.6), trial(2, 0.4), trial(3, 0.3)) == (1, 1)


def test_failed_trials_neither_go_on_nor_count() -> None:
    assert job(trial(0, 0.9, failure="error"), trial(1, 0.5), trial(2, 0.4)) == (3, None)
    assert job(trial(0, failure="error")) == (1, None)
    assert job(trial(0, 0.2, source="recipe:alone", failure="error"), trial(1, source="recipe:kd")) == (1, 0)


def test_promotions_go_on_after_the_last_trial_was_asked() -> None:
    assert job(trial(0, 0.5), trial(1, 0.7), trial(2, 0.6), wanted=3) == (1, 1)
    assert job(trial(0, 0.5), trial(1, 0.7, 0.7), trial(2, 0.6), wanted=3) is None
    assert job(trial(0, 0.5), trial(1, 0.7, 0.7), trial(2, 0.6), wanted=4) == (3, None)


def test_one_rung_promotes_nobody() -> None:
    assert job(trial(0, 0.5), trial(1, 0.7), trial(2, 0.6), top_rung=0, wanted=3) is None


def schedule(count: int, score: Callable[[int], float], *, eta: int = 3) -> list[int]:
    """Run a whole schedule and return how many trials reached each rung."""
    trials: dict[int, TrialRecord] = {}
    for _ in range(1000):
        found = next_job(trials, (), Halving(top_rung=2, eta=eta), wanted=count)
        if found is None:
            return [sum(len(t.rungs) > rung for t in trials.values()) for rung in range(3)]
        number, rung = found
        if rung is None:
            assert number == len(trials)
            trials[number] = trial(number)
            continue
        done = trials[number].rungs
        assert rung == len(done)
        made = RungRecord(rung=rung, epochs=3**rung, score=score(number), loss=0.0, seconds=1.0)
        trials[number] = trial(number, *[r.score for r in done], made.score)
    raise AssertionError("the schedule does not end")


@pytest.mark.parametrize(
    ("eta", "reached"),
    [
        (3, [27, 9, 3]),
        (2, [27, 13, 6]),
    ],
)
def test_a_whole_schedule_where_early_trials_are_the_best(eta: int, reached: list[int]) -> None:
    assert schedule(27, lambda number: 1 - number / 100, eta=eta) == reached


def test_a_whole_schedule_where_each_trial_is_better_than_all_before() -> None:
    """From the third on, each is the best of its rung when it arrives, and so is promoted: nobody waits."""
    assert schedule(27, lambda number: number / 100) == [27, 25, 23]


def test_a_recipe_by_hand_that_is_not_spared_is_halved_like_the_others() -> None:
    trials = {
        0: trial(0, 0.5, source="recipe:kd"),
        1: trial(1, 0.7),
        2: trial(2, 0.6),
    }
    spared, halved = (Halving(top_rung=2, eta=3, spares_baselines=spares) for spares in (True, False))
    assert next_job(trials, (), spared, wanted=3) == (0, 1)
    assert next_job(trials, (), halved, wanted=3) == (1, 1)


def test_none_goes_on_by_comparison_while_it_waits() -> None:
    trials = {number: trial(number, score) for number, score in enumerate((0.5, 0.7, 0.6))}
    halving = Halving(top_rung=2, eta=3)
    assert next_job(trials, (), halving, wanted=9) == (1, 1)
    assert next_job(trials, (), halving, wanted=9, waits=True) == (3, None)
    assert next_job({**trials, 3: trial(3)}, (), halving, wanted=9, waits=True) == (3, 0)
    assert next_job(trials, (), halving, wanted=3, waits=True) is None


def test_the_best_recipe_climbs_and_the_best_of_all_where_those_by_hand_are_not_spared() -> None:
    trials = {0: trial(0, 0.8, source="recipe:kd"), 1: trial(1, 0.7, source="recipe:dist"), 2: trial(2, 0.9)}
    spared, halved = (Halving(top_rung=2, eta=3, spares_baselines=spares) for spares in (True, False))
    assert climb(trials, (), spared) == (1, 1)
    assert climb(trials, (), halved) == (2, 1)
    assert climb({**trials, 2: trial(2, 0.9, failure="diverged")}, (), halved) == (0, 1)
    assert climb({**trials, 0: trial(0, 0.8, 0.8, 0.8, source="recipe:kd")}, (), halved) is None
    assert 0 in hopeless_trials({**trials, 0: trial(0, 0.1, source="recipe:kd")}, halved, wanted=3)
