"""How well training-free proxies order the trained students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.proxies.facts import proxy_rows, proxy_taus
from autokd.report.sections.proxies.figure import figure
from autokd.report.tables import Table
from autokd.study.ranking import common_rung

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Screening"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the rank correlations and their figure, where there are any."""
    taus = proxy_taus(study.records)
    return {
        "proxies": taus,
        "epochs": study.rung_epochs[common_rung(study.records.trials.values())],
        "figure": figure(taus, study.objective.metric) if any(proxy.tau for proxy in taus) else None,
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a screened student."""
    return {"proxies": Table(proxy_rows(study), ["student", "params", "macs"])}
