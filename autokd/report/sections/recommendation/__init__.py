"""What to use, how good it is, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.recommendation import evidence, facts
from autokd.report.sections.recommendation.figure import figure
from autokd.report.start import teacher_weakness
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Recommendation"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the decision, what it rests on, and what became of the training at the end."""
    decision, trials = facts.decide(study), study.records.trials.values()
    return {
        "decision": decision,
        "legend": facts.LEGEND,
        "timed": decision is not None and decision.timed,
        "figure": figure(decision) if decision and decision.sentences else None,
        "best_so_far": facts.best_so_far(study),
        "failures": any(trial.failure is not None for trial in trials),
        "weak_teacher": teacher_weakness(study),
        "rare": facts.rare(study),
        "budget": study.settings.identity.budget_of(len(trials)),
        **facts.trained(study),
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a run of a claim's arms, and one a comparison."""
    return {
        "evidence": Table(evidence.evidence_rows(study), ["round", "arm", "seed", "validation", "test"]),
        "comparisons": Table(
            evidence.comparison_rows(study), ["round", "against", "difference", "low", "high", "verdict"]
        ),
    }
