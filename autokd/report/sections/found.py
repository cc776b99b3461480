"""How the recommendation was found: the funnel, what failed, and how far pipelines were trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import words
from autokd.report.sections.confirm import all_tuned
from autokd.study.records import Records, TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class Stage(NamedTuple):
    """One step of the funnel."""

    title: str
    number: int
    what: str


def funnel(study: StudyStore) -> list[Stage]:
    """Return how many candidates each stage saw."""
    records, trials = study.records, list(study.records.trials.values())
    stages = [Stage("screened", len(records.screen), "students ranked without training")] if records.screen else []
    stages.append(Stage("explored", len(trials), "pipelines started"))
    for rung, epochs in enumerate(study.rung_epochs):
        reached = sum(len(trial.rungs) > rung for trial in trials)
        stages.append(Stage(f"{epochs} epochs", reached, "trials got this far"))
    runs = Counter(run.stage for run in records.runs)
    return stages + [Stage(stage, runs[stage], text) for stage, text in _runs(records).items() if runs[stage]]


def _runs(records: Records) -> dict[str, str]:
    """What the runs of each stage were for."""
    rounds = {run.round for run in records.runs if run.stage == "tune"}
    alike = all(all_tuned(records, round) for round in rounds)
    return {
        "noise": "runs that measured the noise",
        "select": "runs that chose one",
        "tune": "runs that tuned all arms alike" if alike else "runs that tuned learning rate and loss weights",
        "claim": "runs on fresh seeds",
    }


def failures(trials: Sequence[TrialRecord]) -> list[tuple[str, int]]:
    """Return (kind, number) of the failed trials, most frequent first."""
    return Counter(trial.failure["kind"] for trial in trials if trial.failure is not None).most_common()


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
