"""Whether the student learnt what the teacher knows: agreement, calibration, classes, and what plain models reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autokd.report.sections.learned.facts import found, rows
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "What it learnt"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return what the claim's students answered on test; None where no answers are kept."""
    facts = found(study)
    return None if facts is None else facts._asdict()


def tables(study: StudyStore) -> Mapping[str, Table]:
    """Return one row an arm and class, where answers are kept."""
    listed = rows(study)
    return {"classes": Table(listed, ["class", "items"])} if listed else {}
