"""Learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.curves.facts import curve_rows
from autokd.report.sections.curves.figure import figure
from autokd.report.start import scored
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Learning curves"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the figure, where a trial has a score."""
    return {"figure": figure(study) if scored(study) else None}


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row an epoch of each trial."""
    return {"curves": Table(curve_rows(study), ["trial", "rung", "epoch"])}
