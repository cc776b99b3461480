"""Each stage of a search, built in one place for all tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autokd.data import Dataset
from autokd.search.baselines import baseline_losses
from autokd.search.confirm.round import Round
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.search.timing.clock import Clock
from autokd.space import Budget, Drawn, Space
from autokd.spec import component_to_plain, make
from autokd.study.arms import ARM_KINDS
from autokd.study.choice import ScreenedStudent
from autokd.study.records import RecordLog, TrialRecord
from autokd.types import Shapes, Task
from tests.search.executors import Instant, Score, Screened, fixed_score
from tests.search.records import EPOCHS, screen_rows, trial
from tests.search.spaces import context, resolved

ENDLESS = Clock(None, before=0.0, began=0.0)
BUDGET = Budget(trials=4, epochs=4, finalists=2, select_seeds=2, grid=True, choose_seeds=2, claim_seeds=3)
FOUND = {
    "kd": component_to_plain(make("losses", "kd", {"weight": 2.0, "temperature": 8.0})),
    "hint": component_to_plain(make("losses", "hint", {"weight": 0.5, "stages": "last"})),
}


def by_hand(space: Space, *, has_teacher: bool = True) -> dict[str, Drawn]:
    """The recipes by hand: the space's default with their losses."""
    ce = {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}
    kd = {"ce": {**ce, "weight": 0.1}, "kd": component_to_plain(make("losses", "kd", {"weight": 0.9}))}
    return recipes_of(space, **({"kd": {"losses": kd}} if has_teacher else {}), alone={"losses": {"ce": ce}})


def recipes_of(space: Space, **changed: dict[str, Any]) -> dict[str, Drawn]:
    """Recipes by name: the space's default with other slots."""
    plain = {name: {**space.default().plain, **slots} for name, slots in changed.items()}
    return {name: Drawn(pipeline, space.params_of(pipeline)) for name, pipeline in plain.items()}


def explorer(
    folder: Path,
    space: Space,
    task: Task,
    score: Score = fixed_score,
    *,
    screen: Sequence[ScreenedStudent] | None = None,
    **changed: Any,
) -> Explorer:
    """An explorer on the records in a folder; they start with a screening.

    The two recipes by hand come first, and nothing is planned for a design unless a test says so.
    """
    folder.mkdir(exist_ok=True)
    log = RecordLog(folder / "trials.jsonl")
    if not log.records.screen:
        rows = screen_rows() if screen is None else screen
        log.append("screen", students=[dataclasses.asdict(row) for row in rows])
    proposing: dict[str, Any] = {
        "space": space,
        "task": task,
        "records": log.records,
        "screener": Screened(),
        "seed": 5,
        "offers": Shapes(),
        "enqueue": 2,
        "recipes": by_hand(space),
        "planned": 0,
    }
    settings: dict[str, Any] = {
        "log": log,
        "executor": Instant(task, score),
        "rung_epochs": EPOCHS,
        "eta": 2,
        "folder": folder / "trials",
    }
    fields = {field.name for field in dataclasses.fields(Proposer)}
    proposing |= {name: value for name, value in changed.items() if name in fields}
    settings |= {name: value for name, value in changed.items() if name not in fields}
    return Explorer(proposer=Proposer(**proposing), **settings)


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
    alone, kd = ({**default, "losses": baseline_losses(ARM_KINDS[name])} for name in ("alone", "kd"))
    found = [
        trial(0, 0.9, 0.9, 0.95, source="recipe:alone", pipeline=alone),
        trial(1, 0.5, 0.5, 0.60, source="recipe:kd", pipeline=kd),
        trial(2, 0.5, 0.6, 0.90, pipeline=pipeline(data, **FOUND)),
        trial(3, 0.5, 0.6, 0.80, pipeline=pipeline(data, kd=FOUND["kd"])),
    ]
    return [dataclasses.replace(t, cost={"params": 2956, "macs": 1}) for t in found]


def confirming(
    folder: Path,
    data: Dataset,
    score: Score = fixed_score,
    *,
    known: list[TrialRecord] | None = None,
    budget: Budget = BUDGET,
    with_teacher: bool = True,
    clock: Clock = ENDLESS,
) -> Round:
    """A round of confirm on a study whose trials are finished."""
    log = RecordLog(folder / "trials.jsonl")
    log.records.trials.update({t.number: t for t in (trials(data) if known is None else known)})
    return Round(
        log=log,
        executor=Instant(data.task, score),
        context=context(data, with_teacher=with_teacher),
        budget=budget,
        seed=11,
        folder=folder,
        clock=clock,
        on_change=lambda: None,
    )
