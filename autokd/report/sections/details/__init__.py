"""All that it takes to reproduce the study, folded: seeds, select and tune, screening, losses, data, settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.report.printed import Printed
from autokd.report.scales import linear
from autokd.report.sections.details import confirm, data, losses, proxies
from autokd.report.start import teacher_value
from autokd.report.tables import Table
from autokd.study.evidence import FEWEST_STUDENTS
from autokd.study.fidelity import interval
from autokd.study.proxies import rung_of, worth_of_proxies
from autokd.study.ranking import ranked
from autokd.study.split_reads import reads_of_test
from autokd.study.tuning import all_tuned

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Details"
BEST = 5
"""Trials whose loss terms are listed, the best."""
TAU = linear([-1.0, 1.0], lambda tick: f"{tick:g}".replace("-", "−"), room=0.0)
SHARE = linear([0.0, 100.0], lambda tick: f"{tick:g}", room=0.0)


def show(study: StudyStore) -> dict[str, Any]:
    """Return what each fold holds."""
    return {**_confirm(study), **_trials(study), **_settings(study)}


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield what is known of the scores without training, where enough was trained to tell."""
    worths = worth_of_proxies(study.records)
    if proxies.can_be_told(worths):
        yield f"Screening: {proxies.of_proxies(worths)}"


def _confirm(study: StudyStore) -> dict[str, Any]:
    records, claim = study.records, study.records.claim
    newest = confirm.newest_round(records)
    return {
        "objectives": study.objective.names,
        "noise": confirm.noise_runs(records),
        "designs": confirm.designs(records),
        "standing": confirm.standing,
        "tuned": confirm.tune_rows(records, newest),
        "all_tuned": all_tuned(records, newest),
        "arms": confirm.arm_titles(claim) if claim else [],
        "seed_rows": confirm.seed_rows(claim) if claim else [],
    }


def _trials(study: StudyStore) -> dict[str, Any]:
    trials = study.records.trials.values()
    worths, shares = worth_of_proxies(study.records), losses.gradient_shares(study)
    return {
        "worths": worths if any(each.students >= FEWEST_STUDENTS for each in worths) else [],
        "of_worths": proxies.of_proxies(worths),
        "proxy_title": proxies.title,
        "proxy_verdict": proxies.verdict,
        "proxy_remarks": [*proxies.remarks(study.records, worths)],
        "tau_scale": TAU,
        "interval": interval,
        "common_epochs": study.rung_epochs[rung_of(study.records)],
        "shares": shares,
        "share_scale": SHARE,
        "of_shares": losses.of_shares(shares) if shares else "",
        "terms": losses.term_lines(ranked(trials)[:BEST]),
    }


def _settings(study: StudyStore) -> dict[str, Any]:
    return {
        "teacher_value": teacher_value(study),
        "shareable": data.shareable,
        "data_lines": list(data.data_lines(study)),
        "class_counts": data.class_counts(study),
        "reads": reads_of_test(study.path),
        "asked": data.asked(study),
        "setting": data.setting,
        "budget": study.settings.identity.budget_of(len(study.records.trials)),
        "space_text": data.space_text(study.path),
    }


def tables(study: StudyStore) -> dict[str, Table]:
    """Return one row a run outside explore, a trial's loss term, a screened student, a score without training."""
    columns = ["trial", "epochs", "name", "value", "weight", "weighted", "gradient_norm"]
    return {
        "runs": Table(confirm.run_rows(study), ["stage", "round", "arm", "variant", "seed"]),
        "losses": Table(losses.loss_rows(study), columns),
        "proxies": Table(proxies.proxy_rows(study), ["student", "params", "macs"]),
        "proxy_worth": Table(proxies.worth_rows(study), ["score", "tau", "tau_beyond_size", "decides"]),
    }
