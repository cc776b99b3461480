"""The search: what `autokd.search` recommends after the set's seconds, its teacher given."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from autokd.recipes.records import RunRow
from autokd.search import run
from autokd.study.records import Records
from autokd.study.store import StudyStore
from benchmarks.by_hand.bench import Bench, request
from benchmarks.by_hand.tuning import Candidate, Found


def search(bench: Bench, seed: int) -> Found:
    """Return what the search recommends after the set's seconds.

    It plans on its own: its runs may be shorter than the set's full length, and on fewer samples.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        asked = request(
            bench.wanted.name,
            bench.folder,
            seed,
            time=bench.wanted.seconds,
            studies_dir=Path(folder),
            study="study",
            began=began,
        )
        store = run.search(asked, _unseen, _ended)
        seconds = time.monotonic() - began
        return Found(recommended(store), _rows(bench, store.records), seconds, _notes(store))


def recommended(store: StudyStore) -> Candidate:
    """Return the pipeline that a study recommends: the claim's, else the best trial's."""
    claim = store.records.claim
    if claim is not None:
        return Candidate(claim.used.pipeline, getattr(claim.used, "recipe", None))
    assert store.best is not None
    return Candidate(store.best.pipeline, getattr(store.best, "recipe", None))


def _rows(bench: Bench, records: Records) -> list[RunRow]:
    """The trials that reached the top rung."""
    reached = [trial for trial in records.trials.values() if trial.rungs]
    top = max((trial.rungs[-1].epochs for trial in reached), default=0)
    return [
        bench.row(
            "search",
            trial.pipeline,
            recipe=getattr(trial, "recipe", None),
            epochs=top,
            seed=trial.seed,
            validation=trial.rungs[-1].score,
            seconds=round(trial.seconds, 3),
        )
        for trial in reached
        if trial.rungs[-1].epochs == top
    ]


def _notes(store: StudyStore) -> dict[str, Any]:
    records, claim, plan = store.records, store.records.claim, store.settings.time_plan
    return {
        "trials": len(records.trials),
        "use": None if claim is None else claim.use,
        "trial": None if claim is None else claim.trial,
        "arms": {} if claim is None else {arm.name: arm.validation for arm in claim.arms},
        "plan": None if plan is None else plan.reason,
        "stages": {stage: round(seconds, 1) for stage, seconds in records.seconds.items()},
    }


def _unseen(progress: run.Progress) -> None:
    """Nobody looks."""


def _ended(ended: run.Ended) -> None:
    """No bundle is written: the recommended pipeline is trained again at full length."""
