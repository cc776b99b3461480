"""What each loss term did in the best trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.curves.facts import best_trials
from autokd.report.sections.losses.facts import loss_rows, term_lines
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Losses"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the loss terms of the trials whose learning curves are highlighted."""
    return {"terms": term_lines(best_trials(study))}


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a loss term of each trial."""
    columns = ["trial", "epochs", "name", "value", "weight", "weighted", "gradient_norm"]
    return {"losses": Table(loss_rows(study), columns)}
