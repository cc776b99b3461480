"""The front of a study with several objectives."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.report import words
from autokd.report.printed import Grid, Printed
from autokd.report.sections.front.facts import front, front_rows
from autokd.report.sections.front.figure import figure
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Front"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the front with a figure for each objective but the first; None where there is one objective."""
    points, names = front(study), study.objective.names
    if not points:
        return None
    return {
        "front": points,
        "objectives": names,
        "figures": [(name, figure(study, points, name)) for name in names[1:]],
    }


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield the front, each trial with its means over seeds, and how to take one of them."""
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
    """Return one row a trial on the front of a claim, where there are several objectives."""
    if not study.objective.several:
        return {}
    return {"front": Table(front_rows(study), ["round", "trial", "recommended"])}
