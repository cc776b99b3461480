"""Where explore and confirm stand, from the records alone: for whoever runs a search, and for whoever watches one."""

from __future__ import annotations

from autokd.objective import Objective
from autokd.search.request import Progress
from autokd.study.arms import kind_of
from autokd.study.ranking import ranked
from autokd.study.records import Records, RunRecord, TrialRecord

_STEPS = {
    "select": "the best of the trials again",
    "tune": "tuning",
    "choose": "choosing",
    "claim": "final comparison",
    "ablate": "what each part gains",
}
"""What a stage's runs are for."""


def explored(records: Records, objective: Objective, planned: int) -> Progress:
    """Return where explore stands.

    Args:
      records: the study's.
      objective: what it is to be good at.
      planned: trials.
    """
    trials, metric = list(records.trials.values()), objective.metric
    best, done = next(iter(ranked(trials)), None), sum(1 for trial in trials if trial.rungs or trial.failure)
    return Progress(
        stage="explore",
        done=done,
        total=max(done, planned),
        best=None if best is None or best.score is None else metric.value(best.score),
        metric=metric.name,
        failures=sum(1 for trial in trials if trial.failure),
        note=_note(trials[-1]) if trials else "",
    )


def confirmed(records: Records, objective: Objective, most: int) -> Progress:
    """Return where the newest round of confirm stands.

    Args:
      records: the study's.
      objective: what it is to be good at.
      most: runs that there may be.
    """
    metric, claimed = objective.metric, is_claimed(records)
    runs = runs_of_round(records)
    return Progress(
        stage="confirm",
        done=len(runs),
        # runs that two arms share are trained once: there may be fewer than foreseen
        total=len(runs) if claimed else most,
        best=max((metric.value(run.score) for run in runs), key=metric.score, default=None),
        metric=metric.name,
        note=_run(runs[-1]) if runs else "",
        at_most=not claimed,
    )


def is_claimed(records: Records) -> bool:
    """Return whether the newest claim is about all trials that there are."""
    claim = records.claim
    return claim is not None and claim.trials >= len(records.trials)


def runs_of_round(records: Records) -> list[RunRecord]:
    """Return the runs of the newest round of confirm."""
    number = len(records.claims) - int(is_claimed(records))
    return [run for run in records.runs if run.round == number and run.stage != "noise"]


def _run(run: RunRecord) -> str:
    """What a run was for and of what it was, as somebody says it who sees only this."""
    kind = kind_of(run.arm)
    return f"{_STEPS.get(run.stage, run.stage)}: {run.arm if kind is None else kind.phrase}"


def _note(trial: TrialRecord) -> str:
    losses = "+".join(trial.pipeline["losses"])
    return f"trial {trial.number}: {trial.pipeline['student']['use']}, {losses}"
