"""The full length of each set: the top rung that the search's plan fixes for the set's seconds, recorded once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.search.prepare import prepare
from autokd.search.request import Progress
from autokd.space import find, parse
from benchmarks.by_hand import bench, raw
from benchmarks.by_hand.person import candidates
from benchmarks.by_hand.sets import SETS


def plan(name: str, data: Path) -> dict[str, Any]:
    """Plan a set, measure a run of hand KD at the space's own full length, and record both.

    Args:
      name: of the set.
      data: folder of the original files.
    """
    torch.set_num_threads(1)
    wanted, folder = SETS[name], raw.prepared(name, data)
    origin = bench.make_teacher(name, data)
    asked = bench.request(name, folder, 0, time=wanted.seconds)
    budget = prepare(asked, _unseen, for_study=False).budget
    hand = hand_seconds(name, data)
    planned = {
        "epochs": budget.epochs,
        "trials": budget.trials,
        "hand_seconds": round(hand, 2),
        "hand_runs": round(wanted.seconds / hand, 1),
        "teacher": origin,
    }
    plans = {**bench.read_plans(), name: planned}
    bench.PLANS.write_text(json.dumps(plans, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return planned


def hand_seconds(name: str, data: Path) -> float:
    """Measure the seconds of one full-length run of hand KD, warm, on a tenth of it; the teacher's answers included."""
    text, source = find({"image": "image", "table": "tabular"}[SETS[name].kind])
    own = parse(text, source).budget.epochs
    made = bench.bench(name, data, own, seed=0)
    pipeline, part = candidates(made)[0].pipeline, max(1, own // 10)
    for until in (1, part):  # the first one is not warm
        began = time.process_time()
        outcome = run_job(made.context, RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=own, until=until))
    assert outcome.result is not None, outcome.failure
    return (time.process_time() - began) * own / part


def _unseen(progress: Progress) -> None:
    """Nobody looks."""
