"""The teacher's stored outputs, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.effort.facts import bank_rows, bank_use, part_times
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Effort"


def show(study: StudyStore) -> dict[str, Any]:
    """Return what the teacher bank did, and the seconds of each part of the work."""
    return {"bank": bank_use(study.records), "times": part_times(study.records)}


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a session of the bank, and one a part of the work."""
    return {
        "bank": Table(bank_rows(study), ["hits", "computed", "policies", "bytes"]),
        "time": Table([line._asdict() for line in part_times(study.records)], ["part", "seconds", "share"]),
    }
