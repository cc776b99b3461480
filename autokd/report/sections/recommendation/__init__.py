"""What to use, how good it is, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.recommendation import arms, card, evidence, facts, verdict
from autokd.report.start import extent
from autokd.report.tables import Table
from autokd.study.failures import grouped

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Recommendation"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the verdict, the arms behind it, what the card says, and what became of the training at the end."""
    decision, claim = facts.decide(study), study.records.claim
    return {
        "verdict": verdict.early(study) if decision is None else decision.verdict,
        "approval": facts.approval(study),
        "decision": decision,
        "cells": card.card(study, decision),
        "scale": None if decision is None else arms.scale_of(decision.rows, decision.claim),
        "others": [] if claim is None else [arm.name for arm in claim.ordered if arm.name != claim.use],
        "reason": facts.reason(study),
        "extent": extent(study),
        "spent": sum(study.records.seconds.values()),
        "legend": "" if claim is None else facts.legend(claim),
        "timed": decision is not None and decision.timed,
        "best_so_far": facts.best_so_far(study),
        "failed": grouped(study.records.trials.values()),
        "budget": study.settings.identity.budget_of(len(study.records.trials)),
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
