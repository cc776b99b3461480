"""How the search went: over time, from length to length, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.search import facts
from autokd.report.sections.search.effort import bank_rows, bank_use, part_times
from autokd.report.sections.search.promise import happened, promised
from autokd.report.sections.search.timeline import time_line
from autokd.report.tables import Table
from autokd.study.failures import grouped
from autokd.study.fidelity import interval, too_short

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Search"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the course of the search; None before its first trial."""
    records = study.records
    if not records.trials:
        return None
    agreements, times = facts.agreements(records), facts.stage_times(records)
    return {
        "heading": facts.heading(study),
        "line": time_line(study),
        "of_course": facts.of_course(study),
        "survival": facts.survival(study),
        "of_survival": facts.of_survival(study),
        "agreements": agreements,
        "tau": facts.TAU,
        "interval": interval,
        "of_agreement": facts.of_agreement(agreements, study.objective.metric, too_short(records))
        if agreements
        else "",
        "too_short": too_short(records),
        "times": times,
        "of_times": facts.of_times(times),
        "promised": promised(study),
        "happened": happened(study),
        "failures": grouped(records.trials.values()),
        "bank": bank_use(records),
        "parts": part_times(records),
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a session of the bank, one a part of the work, and one a pair of lengths."""
    return {
        "bank": Table(bank_rows(study), ["hits", "computed", "policies", "bytes"]),
        "time": Table([line._asdict() for line in part_times(study.records)], ["part", "seconds", "share"]),
        "agreements": Table(facts.agreement_rows(study), ["shorter", "longer", "tau", "low", "high", "n", "verdict"]),
    }
