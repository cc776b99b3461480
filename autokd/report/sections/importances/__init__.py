"""What mattered: the importances of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.importances.facts import importances_of
from autokd.report.sections.importances.figure import figure

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Importances"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the importances and their figure, or why there are none."""
    importances, why_none = importances_of(study)
    return {
        "importances": importances,
        "why_no_importances": why_none,
        "figure": None if importances is None else figure(importances),
    }
