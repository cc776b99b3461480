"""Each stage of a search, built in one place for all tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autokd.data import Dataset
from autokd.search.confirm.confirmer import Confirmer
from autokd.search.explore.explorer import Explorer, baseline_losses
from autokd.search.timing.clock import Clock
from autokd.space import Space
from autokd.study.records import RecordLog, TrialRecord
from autokd.types import Budget, Shapes, Task
from tests.search.executors import Instant, Score, Screened, fixed_score
from tests.search.records import EPOCHS, screen_rows, trial
from tests.search.spaces import context, resolved

ENDLESS = Clock(None, before=0.0, began=0.0)
BUDGET = Budget(trials=4, finalists=2, select_seeds=2, claim_seeds=3, confirm_epochs=2)
FOUND = {
    "kd": {"use": "kd", "weight": 2.0, "temperature": 8.0},
    "hint": {"use": "hint", "weight": 0.5, "stage": "last", "relu": True},
}


def explorer(
    folder: Path,
    space: Space,
    task: Task,
    score: Score = fixed_score,
    *,
    screen: Sequence[Any] | None = None,
    **changed: Any,
) -> Explorer:
    """An explorer on the records in a folder; they start with a screening."""
    folder.mkdir(exist_ok=True)
    log = RecordLog(folder / "trials.jsonl")
    if not log.records.screen:
        log.append("screen", students=screen_rows() if screen is None else list(screen))
    settings: dict[str, Any] = {
        "space": space,
        "task": task,
        "log": log,
        "executor": Instant(task, score),
        "screener": Screened(),
        "rung_epochs": EPOCHS,
        "eta": 2,
        "seed": 5,
        "folder": folder / "trials",
        "offers": Shapes(),
        "enqueue": 2,
        **changed,
    }
    return Explorer(**settings)


def explore(made: Explorer, trials: int) -> Explorer:
    made.run(trials, lambda seconds: True, lambda: None)
    return made


def pipeline(data: Dataset, **losses: Any) -> dict[str, Any]:
    """The space's default with other losses beside cross-entropy."""
    default = resolved(data).default().plain
    ce = {"use": "ce", "weight": 0.5, "label_smoothing": 0.0}
    return {**default, "losses": {"ce": ce, **losses}}


def trials(data: Dataset) -> list[TrialRecord]:
    """Both baselines and two trials that went all the way; the best has two distillation losses."""
    default = resolved(data).default().plain
    found = [
        trial(0, 0.9, 0.9, 0.95, source="baseline:ce", pipeline={**default, "losses": baseline_losses("ce")}),
        trial(1, 0.5, 0.5, 0.60, source="baseline:kd", pipeline={**default, "losses": baseline_losses("kd")}),
        trial(2, 0.5, 0.6, 0.90, pipeline=pipeline(data, **FOUND)),
        trial(3, 0.5, 0.6, 0.80, pipeline=pipeline(data, kd=FOUND["kd"])),
    ]
    return [dataclasses.replace(t, cost={"params": 2956, "macs": 1}) for t in found]


def confirmer(
    folder: Path,
    data: Dataset,
    score: Score = fixed_score,
    *,
    known: list[TrialRecord] | None = None,
    budget: Budget = BUDGET,
    with_teacher: bool = True,
    clock: Clock = ENDLESS,
) -> Confirmer:
    log = RecordLog(folder / "trials.jsonl")
    log.records.trials.update({t.number: t for t in (trials(data) if known is None else known)})
    return Confirmer(
        log=log,
        executor=Instant(data.task, score),
        context=context(data, with_teacher=with_teacher),
        budget=budget,
        seed=11,
        folder=folder,
        clock=clock,
        on_change=lambda: None,
    )
