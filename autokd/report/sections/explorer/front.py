"""The front of a study with several objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from autokd.report.tables import Row
from autokd.study.claim import Claim
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class FrontPoint(NamedTuple):
    """A trial of the front.

    Args:
      trial: as recorded.
      objectives: what it reached in each, by name; means over seeds where it was measured under several.
      reached: values of the first objective, one a seed.
      recommended: whether its pipeline is recommended.
    """

    trial: TrialRecord
    objectives: Mapping[str, float]
    reached: list[float]
    recommended: bool


def front(study: StudyStore) -> list[FrontPoint]:
    """Return the front, of the newest claim or else of the trials so far; [] where there is one objective."""
    claim = study.records.claim
    return _so_far(study) if claim is None or not claim.front else _claimed(study, claim)


def _claimed(study: StudyStore, claim: Claim) -> list[FrontPoint]:
    trials, metric = study.records.trials, study.objective.metric
    return [
        FrontPoint(
            trials[candidate.trial],
            candidate.objectives,
            metric.values(candidate.scores),
            candidate.trial == claim.recommended_trial,
        )
        for candidate in claim.front
    ]


def _so_far(study: StudyStore) -> list[FrontPoint]:
    metric = study.objective.metric
    best_first = sorted(study.front, key=lambda t: (-t.rungs[-1].score, t.number))
    return [
        FrontPoint(trial, reached(study, trial), [metric.value(trial.rungs[-1].score)], recommended=False)
        for trial in best_first
    ]


def reached(study: StudyStore, trial: TrialRecord) -> dict[str, float]:
    """Return what a trial reached in each objective at its last rung, by name."""
    last = trial.rungs[-1]
    return study.objective.shown(study.objective.values(last.score, last.metrics, trial.cost))


def front_rows(study: StudyStore) -> list[Row]:
    """Return one row a trial on the front of a claim."""
    return [
        {
            "round": claim.round,
            "trial": candidate.trial,
            "recommended": candidate.trial == claim.recommended_trial,
            **candidate.objectives,
        }
        for claim in study.records.claims
        for candidate in claim.front
    ]
