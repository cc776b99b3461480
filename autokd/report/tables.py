"""The tables behind the report, as CSV files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd.report.sections.effort import part_times
from autokd.report.sections.losses import term_lines
from autokd.study.fidelity import short_predicts_long
from autokd.tables import write_csv

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

Row = dict[str, Any]


def write_tables(study: StudyStore, folder: Path) -> None:
    """Write the tables behind the report into a folder, each as a CSV file."""
    tables = {
        "trials": (trial_rows(study), ["number", "state"]),
        "curves": (curve_rows(study), ["trial", "rung", "epoch"]),
        "losses": (loss_rows(study), ["trial", "epochs", "name", "value", "weight", "weighted", "gradient_norm"]),
        "runs": (run_rows(study), ["stage", "round", "arm", "variant", "seed"]),
        "evidence": (evidence_rows(study), ["round", "arm", "seed", "validation", "test"]),
        "comparisons": (comparison_rows(study), ["round", "against", "difference", "low", "high", "verdict"]),
        "proxies": (proxy_rows(study), ["student", "params", "macs"]),
        "agreements": (agreement_rows(study), ["shorter", "longer", "tau", "low", "high", "n", "verdict"]),
        "bank": (bank_rows(study), ["hits", "computed", "policies", "bytes"]),
        "time": ([line._asdict() for line in part_times(study.records)], ["part", "seconds", "share"]),
    }
    if study.objective.several:
        tables["front"] = (front_rows(study), ["round", "trial", "recommended"])
    for name, (rows, columns) in tables.items():
        write_csv(folder / f"{name}.csv", rows, columns)


def trial_rows(study: StudyStore) -> list[Row]:
    """Return a row a trial: where it stands, what it reached and cost, and its pipeline."""
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
            **_failure(trial.failure),
            **flat(trial.pipeline),
        }
        for trial in study.records.trials.values()
    ]


def curve_rows(study: StudyStore) -> list[Row]:
    """Return a row an epoch of every rung."""
    return [
        {"trial": trial.number, "rung": rung.rung, **flat(line)}
        for trial in study.records.trials.values()
        for rung in trial.rungs
        for line in rung.curve
    ]


def loss_rows(study: StudyStore) -> list[Row]:
    """Return a row a rung and loss term."""
    lines = term_lines(study.records.trials.values())
    return [{**line._asdict(), "weighted": line.weighted} for line in lines]


def run_rows(study: StudyStore) -> list[Row]:
    """Return a row a training run outside explore."""
    return [
        {
            "stage": run.stage,
            "round": run.round,
            "arm": run.arm,
            "variant": run.variant,
            "seed": run.seed,
            "score": run.score,
            **run.metrics,
            "loss": run.loss,
            "seconds": run.seconds,
            **_failure(run.failure),
        }
        for run in study.records.runs
    ]


def agreement_rows(study: StudyStore) -> list[Row]:
    """Return a row a pair of training lengths: how well the shorter orders trials like the longer."""
    return [
        {"shorter": found.shorter, "longer": found.longer or "select", "n": found.n, "verdict": found.verdict}
        | ({"why": found.why} if found.tau is None else {**found.tau._asdict(), "why": found.why})
        for found in short_predicts_long(study.records)
    ]


def evidence_rows(study: StudyStore) -> list[Row]:
    """Return a row a claim, arm and seed, and one for the teacher."""
    rows: list[Row] = []
    for claim in study.records.claims:
        rows += [
            {"round": claim.round, "arm": arm.name, "seed": run.seed, "validation": run.validation, "test": run.test}
            for arm in claim.arms
            for run in arm.claimed
        ]
        if claim.teacher is not None:
            rows.append({"round": claim.round, "arm": "teacher", **claim.teacher._asdict()})
    return rows


def front_rows(study: StudyStore) -> list[Row]:
    """Return a row a candidate on the front; none where there is one objective."""
    return [
        {
            "round": claim.round,
            "trial": candidate.trial,
            "recommended": candidate.trial == claim.recommended_trial,
            **candidate.objectives,
        }
        for claim in study.records.claims
        for candidate in claim.front
    ]


def comparison_rows(study: StudyStore) -> list[Row]:
    """Return a row a claim and other arm: the recommended one beside it."""
    return [
        {
            "round": claim.round,
            "against": against,
            "is_comparator": against == claim.comparator,
            **dataclasses.asdict(comparison),
        }
        for claim in study.records.claims
        for against, comparison in claim.comparisons.items()
    ]


def proxy_rows(study: StudyStore) -> list[Row]:
    """Return a row a screened student."""
    return [
        {"params": entry.params, "macs": entry.macs, "screening_score": entry.score}
        | flat(entry.proxies, "proxy")
        | flat(entry.student, "student")
        for entry in study.records.screen
    ]


def bank_rows(study: StudyStore) -> list[Row]:
    """Return a row a session: what the teacher bank did."""
    rows: list[Row] = []
    for session in study.records.bank:
        row = session._asdict()
        nbytes = row.pop("nbytes")
        rows.append({**row, "bytes": nbytes, "hit_rate": session.hit_rate})
    return rows


def flat(plain: Mapping[str, Any], prefix: str = "") -> Row:
    """{"student": {"use": "cnn", "width": 8}} -> {"student": "cnn", "student.width": 8}."""
    row: Row = {}
    for key, value in plain.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            row |= flat(value, path)
        elif key == "use":
            row[prefix] = value
        elif key != "format":
            row[path] = value
    return row


def _failure(failure: Mapping[str, str] | None) -> Row:
    """The columns of a failure, empty where there was none."""
    return {f"failure_{key}": None if failure is None else failure[key] for key in ("kind", "reason")}
