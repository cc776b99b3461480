"""Quality against size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.size.figure import figure
from autokd.report.start import scored

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Quality and size"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the figure, where a trial has a score."""
    return {"figure": figure(study) if scored(study) else None}
