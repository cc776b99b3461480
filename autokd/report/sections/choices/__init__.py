"""Scores by what was chosen for each slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.choices.figure import figures
from autokd.study.ranking import ENOUGH_FOR_A_RUNG, common_rung

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Choices"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the figures, and the length at which scores are compared."""
    return {
        "figures": figures(study),
        "epochs": study.rung_epochs[common_rung(study.records.trials.values())],
        "enough_for_a_rung": ENOUGH_FOR_A_RUNG,
    }
