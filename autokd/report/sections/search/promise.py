"""What a study was to do, by its plan or its budget, beside what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokd.report import words
from autokd.study.claim import Claim
from autokd.study.records import Records

if TYPE_CHECKING:
    from autokd.space import Budget
    from autokd.study.settings import TimePlan
    from autokd.study.store import StudyStore

WORTH_NAMING = 0.5
"""Seconds from which a stage is named."""


def promised(study: StudyStore) -> str:
    """Return what was planned, a sentence."""
    asked, seconds = study.settings.setting("trials"), study.settings.setting("time")
    budget = study.settings.identity.budget_of(asked or len(study.records.trials))
    within = f", in {words.duration(seconds)}" if seconds else ""
    trials = f"{words.number_of(budget.trials, 'trial')} of up to {words.number_of(study.rung_epochs[-1], 'epoch')}"
    quick = " (--quick)" if study.settings.setting("quick") else ""
    return f"Planned{quick}: {trials}, {_planned_seeds(budget)}{within}.{_hand_runs(study.settings.time_plan)}"


def happened(study: StudyStore) -> str:
    """Return what was done, a sentence with the seconds of each stage."""
    records = study.records
    full = sum(trial.state(study.top_rung) == "complete" for trial in records.trials.values())
    done = f"{words.number_of(len(records.trials), 'trial')}, {words.count(full)} of them at full length"
    total = sum(records.seconds.values())
    took = f", in {words.duration(total)}{stages(records)}" if total else ""
    return f"Done: {done}{_seeds_done(records.claim)}{took}."


def stages(records: Records) -> str:
    """Return the seconds of each stage and its share of all: " (explore 40 s, 50.0 %; …)"."""
    total = sum(records.seconds.values())
    long = {stage: spent for stage, spent in records.seconds.items() if spent >= WORTH_NAMING}
    parts = [f"{stage} {words.duration(spent)}, {100 * spent / total:.0f} %" for stage, spent in long.items()]
    return f" ({'; '.join(parts)})" if parts else ""


def _hand_runs(plan: TimePlan | None) -> str:
    """What the plan was made by, a sentence; "" where there was none."""
    if plan is None or plan.hand_seconds is None or plan.hand_runs is None:
        return ""
    each = words.duration(plan.hand_seconds)
    return f" A full-length run of KD by hand takes {each} here; the time bears {plan.hand_runs:.0f} of them."


def _planned_seeds(budget: Budget) -> str:
    if not budget.claim_seeds:
        return "no claim"
    chosen = f"{words.number_of(budget.choose_seeds, 'seed')} a pipeline to choose by"
    if not budget.choose_seeds:
        return f"{words.number_of(budget.claim_seeds, 'seed')} a pipeline to test on"
    if not budget.fresh_claim:
        return f"{chosen} and to test on"
    return f"{chosen} and {budget.claim_seeds} fresh ones to test on"


def _seeds_done(claim: Claim | None) -> str:
    if claim is None:
        return ""
    chosen, claimed = (len(claim.used.runs.get(purpose, ())) for purpose in ("choose", "claim"))
    if not claim.comparators:
        return ", no claim"
    if claim.evidence == "same seeds" or not chosen:
        return f", {words.number_of(claimed, 'seed')} a pipeline"
    return f", {words.number_of(chosen, 'seed')} a pipeline to choose by and {claimed} fresh ones to test on"
