"""What a study begins with: how far it trains, the quality of the teacher, and the start baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokd.report import words
from autokd.study.arms import simplicity
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def teacher_value(study: StudyStore) -> float | None:
    """Return the teacher's value of the first objective on validation, the same wherever it is shown.

    That of the newest claim, which is measured like those of the arms, or else the one from when the study was begun.
    None where it is not known, or there is no teacher.
    """
    claim, teacher = study.records.claim, study.settings.teacher
    if claim is not None and claim.teacher is not None:
        return claim.teacher.validation
    return None if teacher is None else teacher.validation.get(study.objective.metric.in_float)


def start_baselines(study: StudyStore) -> list[tuple[str, TrialRecord]]:
    """Return (kind of arm, trial) of the start baselines, the most elaborate first."""
    trials = study.records.trials.values()
    baselines = [(trial.recipe or "", trial) for trial in trials if trial.is_baseline]
    return sorted(baselines, key=lambda row: -simplicity(row[0]))


def extent(study: StudyStore) -> str:
    """Return on how much data and for how long pipelines were trained, a sentence; "" where full training is no more.

    Full training takes the epochs that the space file says, and the samples that a plan for little time left out.
    """
    settings, claim, plan = study.settings, study.records.claim, study.settings.time_plan
    full = settings.identity.budget_of(0).train_epochs
    epochs = study.rung_epochs[-1] if claim is None else claim.epochs
    trained = f"Pipelines were trained for {'up to ' if claim is None else ''}{words.number_of(epochs, 'epoch')}"
    if plan is not None and plan.limit_train is not None:
        whole = "the" if plan.whole_train is None else words.count(plan.whole_train)
        samples = f"{words.count(settings.data.train)} of {whole} training samples"
        return f"{trained} on {samples}; full training takes {words.number_of(full, 'epoch')} on all of them."
    return f"{trained}; full training takes {full}." if epochs < full else ""


def scored(study: StudyStore) -> bool:
    """Return whether a trial has a score."""
    return any(trial.rungs for trial in study.records.trials.values())
