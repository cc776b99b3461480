"""One order of trials, and one rung at which they are compared."""

from __future__ import annotations

from autokd.study.ranking import ENOUGH_FOR_A_RUNG, common_rung, ranked
from autokd.study.records import RungRecord, TrialRecord


def trial(number: int, rungs: int, *, score: float = 0.5, loss: float = 1.0, params: int = 10) -> TrialRecord:
    made = [RungRecord(rung=i, epochs=3**i, score=score, loss=loss, seconds=1.0) for i in range(rungs)]
    return TrialRecord(
        number=number, source="tpe", seed=0, pipeline={}, params={}, cost={"params": params}, rungs=tuple(made)
    )


def test_trials_are_ranked_by_length_then_score_then_loss_whatever_their_size() -> None:
    trials = [
        trial(0, 1, score=0.99),
        trial(1, 2, score=0.9, loss=0.4, params=5),
        trial(2, 2, score=0.9, loss=0.3, params=500),
        trial(3, 2, score=0.95),
        trial(4, 0),
    ]
    assert [found.number for found in ranked(trials)] == [3, 2, 1, 0]


def test_the_common_rung_is_the_highest_that_enough_trials_have_finished() -> None:
    many = [trial(n, 2 if n < ENOUGH_FOR_A_RUNG else 1) for n in range(40)]
    assert common_rung(many) == 1 and common_rung(many[1:]) == 0
    assert common_rung(many, enough=15) == 0 and common_rung(many[:4], enough=4) == 1
    assert common_rung([]) == 0
