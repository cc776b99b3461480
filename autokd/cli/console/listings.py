"""Listings: studies, trials, caches."""

from __future__ import annotations

import json
import math
import shlex
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.claim import state
from autokd.cli.console.output import Shown, document
from autokd.metrics import Metric
from autokd.report import words
from autokd.report.sections.recommendation.arms import chosen_on
from autokd.report.sections.recommendation.verdict import headline
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.api import Study
    from autokd.cli.caches import Cache

_TRIAL_COSTS = {"macs": "MACs", "size": "bytes", "latency": "latency, ms"}
"""Costs that `trials` shows beside the parameters where they are objectives."""


class StudyRow(NamedTuple):
    """A study in the list of studies; the fields are the keys of its JSON.

    Args:
      study: its name.
      state: "finished" or "unfinished".
      trials: their number.
      objective: names of what it is to be good at.
      best_validation: of the trial that went furthest with the best score, or None.
      validation: of what is recommended, the mean of the runs that chose it; before there is that, `best_validation`.
      test: of what is recommended, or None.
      result: the decision in a few words, or None.
      verdicts: by name of the other arm.
    """

    study: str
    state: str
    trials: int
    objective: list[str]
    best_validation: float | None
    validation: float | None
    test: float | None
    result: str | None
    verdicts: dict[str, str] | None


def studies(found: Sequence[Study], *, as_json: bool) -> Shown:
    """Return one row a study."""
    rows = [_study_row(study) for study in found]
    if as_json:
        return document([row._asdict() for row in rows])
    if not rows:
        return "no studies here; start one with: autokd search --dataset digits"
    table = Table()
    numbers = ("trials", "validation", "test")
    for column in ("study", "state", "trials", "objective", "validation", "test", "result"):
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row, study in zip(rows, found, strict=True):
        metric = study.store.objective.metric
        values = ["" if value is None else metric.text(value) for value in (row.validation, row.test)]
        cells = [row.state, str(row.trials), ", ".join(row.objective), *values, row.result or ""]
        table.add_row(Text(row.study), *cells)
    return table


def _study_row(study: Study) -> StudyRow:
    claim, best, objective = study.recommendation, study.best, study.store.objective
    best_value = None if best is None or best.score is None else objective.metric.value(best.score)
    used = [] if claim is None else chosen_on(claim.used)
    return StudyRow(
        study=study.name,
        state=state(study),
        trials=len(study.store.records.trials),
        objective=list(objective.names),
        best_validation=best_value,
        validation=statistics.fmean(used) if used else best_value,
        test=None if claim is None or not claim.used.test else statistics.fmean(claim.used.test),
        result=None if claim is None else headline(claim),
        verdicts=None if claim is None else {name: other.verdict for name, other in claim.comparisons.items()},
    )


def trials(study: Study, *, as_json: bool) -> Shown:
    """Return one row a trial."""
    if as_json:
        return document(_trial_rows(study))
    records = list(study.store.records.trials.values())
    if not records:
        return f"study {study.name}: no trials yet"
    table = Table()
    objective = study.store.objective
    costs = [name for name in _TRIAL_COSTS if name in objective.names]
    columns = ("trial", "state", "source", "epochs", _score_column(objective.metric), "seconds", "parameters")
    for column in (*columns, *(_TRIAL_COSTS[name] for name in costs), "pipeline"):
        table.add_column(column, justify="left" if column in ("state", "source", "pipeline") else "right")
    for trial in records:
        table.add_row(*_trial_cells(trial, study.store.top_rung, costs, objective.metric))
    return Group(table, Text(f"every drawn value: autokd trials {shlex.quote(study.name)} --json"))


def _trial_rows(study: Study) -> list[dict[str, Any]]:
    frame = study.trials_dataframe()
    rows = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return [{**row, "pipeline": json.loads(row["pipeline"])} for row in rows]


def _trial_cells(trial: TrialRecord, top_rung: int, costs: Sequence[str], metric: Metric) -> list[Text]:
    reason = f"\n{trial.why_failed}" if trial.failure else ""
    score = "" if trial.score is None else metric.number(metric.value(trial.score))
    epochs = str(trial.rungs[-1].epochs) if trial.rungs else ""
    cells = [str(trial.number), trial.state(top_rung), trial.source, epochs, score, f"{trial.seconds:.1f}"]
    cells += [words.count(trial.cost["params"]), *(words.figure(trial.cost.get(name)) for name in costs)]
    return [Text(text) for text in (*cells, f"{words.brief(trial.pipeline)}{reason}")]


def _score_column(metric: Metric) -> str:
    return "score %" if metric.name == "accuracy" else f"{metric.title} {metric.unit}".rstrip()


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def caches(found: Sequence[Cache], freed: int | None, *, as_json: bool) -> Shown:
    """Return one row a cache, and what clearing freed."""
    if as_json:
        return document({"caches": [cache._asdict() for cache in found], "freed": freed})
    table = Table(box=None, pad_edge=False)
    for column in ("cache", "entries", "size", "what"):
        table.add_column(column, justify="right" if column in ("entries", "size") else "left")
    for cache in found:
        table.add_row(cache.name, str(cache.entries), words.size(cache.nbytes), Text(cache.about))
    lines = [f"in {found[0].path.parent}", *([] if freed is None else [f"{words.size(freed)} freed"])]
    return Group(table, Text("\n".join(lines)))
