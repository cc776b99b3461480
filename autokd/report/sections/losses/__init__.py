"""What each loss term did in the best trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.losses.facts import loss_rows, term_lines
from autokd.report.tables import Table
from autokd.study.ranking import ranked

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Losses"
TOP = 5
"""Trials that are shown, the best."""


def show(study: StudyStore) -> dict[str, Any]:
    """Return the loss terms of the best trials."""
    return {"terms": term_lines(ranked(study.records.trials.values())[:TOP])}


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a loss term of each trial."""
    columns = ["trial", "epochs", "name", "value", "weight", "weighted", "gradient_norm"]
    return {"losses": Table(loss_rows(study), columns)}
