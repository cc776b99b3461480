"""Every trial: how far it came, and what was drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autokd.report.tables import Row, failure_columns, flat

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def trial_rows(study: StudyStore) -> list[Row]:
    """Return one row a trial: how far it came, its score, seconds, costs and drawn values."""
    return [
        {
            "number": trial.number,
            "state": trial.state(study.top_rung),
            "source": trial.source,
            "seed": trial.seed,
            "rung": trial.rungs[-1].rung if trial.rungs else None,
            "epochs": trial.rungs[-1].epochs if trial.rungs else None,
            "score": trial.score,
            **(trial.rungs[-1].metrics if trial.rungs else {}),
            "loss": trial.rungs[-1].loss if trial.rungs else None,
            "seconds": trial.seconds,
            "params": trial.cost.get("params"),
            "macs": trial.cost.get("macs"),
            "size": trial.cost.get("size"),
            "latency": trial.cost.get("latency"),
            **failure_columns(trial.failure),
            **flat(trial.pipeline),
        }
        for trial in study.records.trials.values()
    ]


def pretty(plain: Any) -> str:
    """Return a plain pipeline over several lines."""
    return json.dumps(plain, indent=2, ensure_ascii=False)
