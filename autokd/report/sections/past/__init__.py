"""What came from past studies, and whether it paid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.report.printed import Printed
from autokd.report.sections.past.facts import heading, of_expected, of_pick, predicted, rows
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Past studies"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the trials that past studies advised; None where past studies were not asked."""
    past = study.settings.past
    if past is None:
        return None
    lines = predicted(study)
    return {
        "heading": heading(study, lines),
        "past": past,
        "lines": lines,
        "says": [*of_pick(study), *of_expected(lines)],
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row an advised recipe that was tried."""
    listed = rows(study)
    columns = ["trial", "recipe", "title", "expected_gain", "low", "high", "gain", "epochs"]
    return {"past": Table(listed, columns)} if listed else {}


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield a line: what past studies were worth."""
    lines = predicted(study)
    if lines:
        yield f"\n{heading(study, lines)}. {' '.join(of_pick(study))}".rstrip()
