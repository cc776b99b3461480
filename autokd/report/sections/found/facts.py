"""How the recommendation was found: the funnel, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import words
from autokd.report.sections.confirm.facts import all_tuned
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
        stages.append(Stage(words.number_of(epochs, "epoch"), reached, "trials got this far"))
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


def failures(trials: Iterable[TrialRecord]) -> list[tuple[str, int]]:
    """Return (kind, number) of the failed trials, most frequent first."""
    return Counter(trial.failure["kind"] for trial in trials if trial.failure is not None).most_common()
