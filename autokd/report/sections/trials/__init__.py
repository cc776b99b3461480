"""Every trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.trials.facts import pretty, trial_rows
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Trials"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the trials in the order in which they were begun."""
    return {"trials": list(study.records.trials.values()), "pretty": pretty}


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a trial."""
    return {"trials": Table(trial_rows(study), ["number", "state"])}
