"""How confirm came to its claim: noise, designs, select's race, tune's grid, and the claim seed by seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.confirm import facts
from autokd.report.tables import Table
from autokd.study.fidelity import interval, short_predicts_long, too_short

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Confirm"


def show(study: StudyStore) -> dict[str, Any]:
    """Return what each stage of confirm did."""
    records = study.records
    newest = facts.newest_round(records)
    return {
        "objectives": study.objective.names,
        "noise": facts.noise_runs(records),
        "designs": facts.designs(records),
        "standing": facts.standing,
        "tuned": facts.tune_rows(records, newest),
        "all_tuned": facts.all_tuned(records, newest),
        "arms": facts.arm_titles(records.claim) if records.claim else [],
        "seed_rows": facts.seed_rows(records.claim) if records.claim else [],
        "agreements": short_predicts_long(records),
        "interval": interval,
        "too_short": too_short(records),
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a run outside explore, and one a pair of lengths."""
    return {
        "runs": Table(facts.run_rows(study), ["stage", "round", "arm", "variant", "seed"]),
        "agreements": Table(facts.agreement_rows(study), ["shorter", "longer", "tau", "low", "high", "n", "verdict"]),
    }
