"""Several studies side by side in the terminal, or as one JSON document."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document
from autokd.metrics import METRICS, Metric
from autokd.report import words
from autokd.report.compare import facts
from autokd.report.compare.courses import courses

if TYPE_CHECKING:
    from autokd.report.compare.facts import Gain, LossEffect, Row
    from autokd.study.store import StudyStore


def compared(studies: Sequence[StudyStore], page: Path, *, as_json: bool) -> Shown:
    """Return a row a study, in what they differ, and where the page is."""
    found, conditions = facts.rows(studies), facts.conditions(studies)
    if as_json:
        return _document(studies, page)
    table = Table()
    texts = ("study", "result")
    for column in (*texts, "test", "against no teacher", "against plain KD", "against the first", "time", "checks"):
        table.add_column(column, justify="left" if column in texts else "right", overflow="fold")
    for row in facts.by_gain(found):
        metric = METRICS[row.metric]
        checks = f"✕ {row.stops} ▲ {row.warnings}"
        test = metric.text(statistics.fmean(row.test)) if row.test else "–"
        gains = [_gain(each, metric) for each in (row.over_alone, row.over_kd, row.over_first)]
        table.add_row(*map(Text, (row.label, row.result, test, *gains, words.duration(row.seconds), checks)))
    open = [fact.name for fact in conditions if not fact.same]
    differ = f"they differ in {words.listed(open)}: compare gains, not scores"
    return Group(table, Text(f"{differ if open else 'data and conditions are the same'}\npage: {page}"))


def _gain(found: Gain | None, metric: Metric) -> str:
    if found is None:
        return "–"
    low, high = words.difference(found.low, metric), words.difference(found.high, metric)
    return f"{words.difference(found.difference, metric)} [{low}, {high}]"


def _document(studies: Sequence[StudyStore], page: Path) -> str:
    return document(
        {
            "page": str(page),
            "studies": [_row(row) for row in facts.rows(studies)],
            "conditions": [fact._asdict() for fact in facts.conditions(studies)],
            "differing": [fact._asdict() for fact in facts.differing(studies)],
            "losses": {name: list(map(_plain, row)) for name, row in facts.loss_effects(studies).items()},
            "courses": [course._asdict() for group in courses(studies).values() for course in group],
        }
    )


def _row(row: Row) -> dict[str, object]:
    gains = {key: _plain(getattr(row, key)) for key in ("over_alone", "over_kd", "over_first")}
    return {**dataclasses.asdict(row), **gains}


def _plain(found: Gain | LossEffect | None) -> dict[str, object] | None:
    return None if found is None else found._asdict()
