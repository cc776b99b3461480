"""All pipelines: quality against cost, every trial in a table, and each one's values and learning curve."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.objective import COSTS
from autokd.report import words
from autokd.report.printed import Grid, Printed
from autokd.report.sections.explorer.block import block
from autokd.report.sections.explorer.facts import (
    FEWEST,
    cost_text,
    costs_shown,
    grouped,
    heading,
    sentences,
    shown_trials,
)
from autokd.report.sections.explorer.front import front, front_rows
from autokd.report.sections.explorer.options import cell, filters, slots_shown
from autokd.report.sections.explorer.rows import curve_rows, trial_rows
from autokd.report.tables import Table
from autokd.study import failures

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "All pipelines"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the trials in groups, what they tell, and the block of data that picture and cards are drawn from."""
    trials = study.records.trials
    if not trials:
        return None
    shown, costs = shown_trials(study), costs_shown(study)
    return {
        "heading": heading(study, shown),
        "groups": grouped(study, shown),
        "sentences": sentences(study, shown),
        "failed": failures.grouped(trials.values()),
        "under_way": [trial.number for trial in trials.values() if trial.failure is None and not trial.rungs],
        "columns": {name: COSTS[name] for name in costs},
        "cost_text": cost_text,
        "slots": slots_shown(shown),
        "cell": cell,
        "filters": filters(shown),
        "drawn": len(shown) >= FEWEST and bool(costs),
        "block": block(study, shown) if shown else None,
    }


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield the front of several objectives, each trial with its means over seeds, and how to take one of them."""
    points, names = front(study), study.objective.names
    if not points:
        return
    seeds = words.number_of(len(points[0].reached), "seed")
    yield Grid(
        title=f"The front of {', '.join(names)}, on validation, {seeds}",
        columns=["trial", *(name.replace("_", " ") for name in names), "pipeline"],
        rows=[
            [
                f"{point.trial.number}{' *' if point.recommended else ''}",
                *(words.objective(point.objectives[name], name) for name in names),
                words.brief(point.trial.pipeline),
            ]
            for point in points
        ],
        left=["pipeline"],
    )
    star = "* recommended; any other" if any(point.recommended for point in points) else "Any of them"
    yield f"{star}: autokd export {shlex.quote(study.name)} --trial NUMBER"


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a trial, one row an epoch of each trial, and with several objectives one a trial on the front."""
    several = study.objective.several
    front_table = {"front": Table(front_rows(study), ["round", "trial", "recommended"])} if several else {}
    return {
        "trials": Table(trial_rows(study), ["number", "state"]),
        "curves": Table(curve_rows(study), ["trial", "rung", "epoch"]),
        **front_table,
    }
