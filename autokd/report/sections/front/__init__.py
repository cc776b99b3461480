"""The front of a study with several objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a trial on the front of a claim, where there are several objectives."""
    if not study.objective.several:
        return {}
    return {"front": Table(front_rows(study), ["round", "trial", "recommended"])}
