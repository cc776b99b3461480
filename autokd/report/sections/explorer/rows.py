"""Every trial and every epoch of it, as rows of the CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
            **({"size_int8": trial.cost["size_int8"]} if "size_int8" in trial.cost else {}),
            **failure_columns(trial.failure),
            **flat(trial.pipeline),
        }
        for trial in study.records.trials.values()
    ]


def curve_rows(study: StudyStore) -> list[Row]:
    """Return one row an epoch of each trial."""
    return [
        {"trial": trial.number, "rung": rung.rung, **flat(line)}
        for trial in study.records.trials.values()
        for rung in trial.rungs
        for line in rung.curve
    ]
