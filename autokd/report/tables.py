"""The tables behind the report, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autokd.report.facts import Study
from autokd.report.training import part_times, term_lines
from autokd.study.fidelity import short_predicts_long

Row = dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_tables(study: Study, folder: Path) -> None:
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
        "bank": ([dict(session) for session in study.records.bank], ["hits", "computed", "policies", "bytes"]),
        "time": ([line._asdict() for line in part_times(study.records)], ["part", "seconds", "share"]),
    }
    if study.objective.several:
        tables["front"] = (front_rows(study), ["round", "trial", "recommended"])
    for name, (rows, columns) in tables.items():
        write_csv(folder / f"{name}.csv", rows, columns)


def write_csv(path: Path, rows: Iterable[Row], columns: list[str]) -> None:
    """Write rows; columns beyond the given ones follow in the order in which they first occur.

    Text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    rows = list(rows)
    header = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([cell(key) for key in header])
        writer.writerows([[cell(row.get(key)) for key in header] for row in rows])


def cell(value: Any) -> Any:
    """Return a value as it goes into a CSV cell: None is empty, text that starts like a formula gets an apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return "" if value is None else value


def trial_rows(study: Study) -> list[Row]:
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
            "failure_kind": trial.failure["kind"] if trial.failure else None,
            "failure_reason": trial.failure["reason"] if trial.failure else None,
            **flat(trial.pipeline),
        }
        for trial in study.records.trials.values()
    ]


def curve_rows(study: Study) -> list[Row]:
    return [
        {"trial": trial.number, "rung": rung.rung, **flat(line)}
        for trial in study.records.trials.values()
        for rung in trial.rungs
        for line in rung.curve
    ]


def loss_rows(study: Study) -> list[Row]:
    lines = term_lines(list(study.records.trials.values()))
    return [{**line._asdict(), "weighted": line.weighted} for line in lines]


def run_rows(study: Study) -> list[Row]:
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
            "failure_kind": run.failure["kind"] if run.failure else None,
            "failure_reason": run.failure["reason"] if run.failure else None,
        }
        for run in study.records.runs
    ]


def agreement_rows(study: Study) -> list[Row]:
    return [
        {"shorter": found.shorter, "longer": found.longer or "select", "n": found.n, "verdict": found.verdict}
        | ({"why": found.why} if found.tau is None else {**found.tau._asdict(), "why": found.why})
        for found in short_predicts_long(study.records)
    ]


def evidence_rows(study: Study) -> list[Row]:
    rows = []
    for evidence in study.records.evidence:
        for arm, scores in evidence["arms"].items():
            pairs = zip(evidence["seeds"], scores["validation"], scores["test"], strict=True)
            rows += [
                {"round": evidence["round"], "arm": arm, "seed": seed, "validation": validation, "test": test}
                for seed, validation, test in pairs
            ]
        if evidence["teacher"] is not None:
            rows.append({"round": evidence["round"], "arm": "teacher", **evidence["teacher"]})
    return rows


def front_rows(study: Study) -> list[Row]:
    return [
        {"round": evidence["round"], "trial": row["trial"], "recommended": row["trial"] == evidence["trial"]}
        | row["objectives"]
        for evidence in study.records.evidence
        for row in evidence.get("front", [])
    ]


def comparison_rows(study: Study) -> list[Row]:
    return [
        {
            "round": evidence["round"],
            "against": against,
            "is_comparator": against == evidence["comparator"],
            **comparison,
        }
        for evidence in study.records.evidence
        for against, comparison in evidence["comparisons"].items()
    ]


def proxy_rows(study: Study) -> list[Row]:
    return [
        {"student": entry["student"]["use"], "params": entry["params"], "macs": entry["macs"]}
        | {"screening_score": entry.get("score")}
        | flat(entry["proxies"], "proxy")
        | flat(entry["student"], "student")
        for entry in study.records.screen
    ]


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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
