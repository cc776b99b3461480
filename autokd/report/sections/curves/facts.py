"""Which trials are highlighted, and every epoch of every trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokd.report.tables import Row, flat
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TOP = 5
"""Trials that are highlighted."""


def best_trials(study: StudyStore) -> list[TrialRecord]:
    """Return the trials that are highlighted, the best first."""
    return ranked(study.records.trials.values())[:TOP]


def curve_rows(study: StudyStore) -> list[Row]:
    """Return one row an epoch of each trial."""
    return [
        {"trial": trial.number, "rung": rung.rung, **flat(line)}
        for trial in study.records.trials.values()
        for rung in trial.rungs
        for line in rung.curve
    ]
