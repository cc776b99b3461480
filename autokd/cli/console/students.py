"""The end of full training, and predictions."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import ROWS, Shown, document
from autokd.files import write_text
from autokd.metrics import METRICS, Metric
from autokd.report.words import number_of, size
from autokd.tables import csv_text, escape_csv, runs_in_a_spreadsheet

if TYPE_CHECKING:
    from pandas import DataFrame

    from autokd.delivery.subject import Written

_log = logging.getLogger("autokd")


def trained(folder: Path, metrics: Mapping[str, Any], *, as_json: bool) -> Shown:
    """Return the end of full training."""
    if as_json:
        return document({"folder": str(folder), "metrics": metrics})
    metric = METRICS[metrics["objective"]]
    test, validation = (metrics[split] for split in ("test", "validation"))
    own = metric.name in validation and not validation.get("note")
    beside = f" (validation {_precisely(validation[metric.name], metric)})" if own else ""
    return (
        f"{folder}: {_of_test(test, metric)}{beside}, "
        f"seed {metrics['seed']}, {number_of(metrics['epochs'], 'epoch')}\n"
        f"{'' if own else _of_validation(validation, metric)}"
        f"next: autokd predict {shlex.quote(str(folder))} INPUT…\n"
        f"      autokd export-model {shlex.quote(str(folder))} --format onnx"
    )


def _of_validation(validation: Mapping[str, Any], metric: Metric) -> str:
    """What is known of validation where the student was trained on it, too: a line."""
    known = f"{_precisely(validation[metric.name], metric)}; " if metric.name in validation else ""
    return f"validation: {known}{validation.get('note', 'not measured')}\n"


def _of_test(test: Mapping[str, Any], metric: Metric) -> str:
    """What is known of test; a bundle that a search trained repeats its study's claim, and says so in a note."""
    if metric.name not in test:
        return "test was not read"
    note = f", {test['note']}" if test.get("note") else ""
    return f"test {metric.title} {_precisely(test[metric.name], metric)} on {test['n']} items{note}"


def _precisely(value: float, metric: Metric) -> str:
    """0.9541 -> "95.41 %", or "0.210 nats" where it is not shown in percent."""
    return f"{metric.scale * value:.2f} %" if metric.unit == "%" else metric.text(value)


def _write(frame: DataFrame, output: Path) -> None:
    """Write predictions as a CSV file whose inputs and labels are what they are, but for what would run."""
    exact = ("input", "label")
    changed = [cell for name in exact for cell in frame[name].unique() if runs_in_a_spreadsheet(cell)]
    if changed:
        _log.warning("%s: %r is written behind an apostrophe: a spreadsheet would run it", output, changed[0])
    write_text(output, csv_text(escape_csv(frame, exact)))


def exported(written: Written, *, as_json: bool) -> Shown:
    """Return what an export wrote, with the size of each file, and how it is used."""
    sizes = {file: file.stat().st_size for file in written.files}
    if as_json:
        files = [{"file": str(file), "bytes": count} for file, count in sizes.items()]
        return document({"files": files, "remarks": list(written.remarks), "next": written.next})
    lines = [f"{file}: {size(count)}" for file, count in sizes.items()]
    following = [f"next: {written.next}"] if written.next else []
    return "\n".join([*lines, *written.remarks, *following])


def predictions(frame: DataFrame, output: Path | None, *, as_json: bool) -> Shown:
    """Return predictions as a table, or write them as a CSV."""
    if output is not None:
        _write(frame, output)
    if as_json:
        return document(frame.to_dict("records"))
    if output is not None:
        return f"{output}: {len(frame)} predictions"
    table = Table()
    for column in ("input", "label", "probability"):
        table.add_column(column, overflow="fold", justify="right" if column == "probability" else "left")
    for row in frame[["input", "label", "probability"]].head(ROWS).itertuples(index=False):
        table.add_row(Text(str(row.input)), Text(str(row.label)), f"{row.probability:.4f}")
    more = f"… and {len(frame) - ROWS} more; -o FILE writes all, with every class's probability"
    return Group(table, Text(more)) if len(frame) > ROWS else table
