"""What each choice did: options, values and, in a fold, the importances of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report import scales
from autokd.report.sections.choices.finding import finding, meaning, named
from autokd.report.sections.choices.importances import SHOWN, importances_of
from autokd.report.sections.choices.medians import lengths, options
from autokd.report.sections.choices.strips import strips
from autokd.report.start import scored
from autokd.study.effects import effects

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "What each choice did"
OPTIONS, STRIPS = 8, 6
"""Rows and pictures that stand open; the others are folded."""


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the options with their effects, pictures of values, importances; None where no trial has a score."""
    if not scored(study):
        return None
    rungs, found, metric = lengths(study), options(study), study.objective.metric
    told = [option for option in found if option.first.difference is not None]
    ends = [end for option in told for effect in option.effects for end in (effect.low, effect.high) if end is not None]
    drawn, (importances, why) = strips(study, rungs[0]), importances_of(study)
    shares = {} if importances is None else dict(list(importances.shares.items())[:SHOWN])
    return {
        "finding": finding(study, found, rungs),
        "epochs": [study.rung_epochs[rung] for rung in rungs],
        "blocks": [block for block in (told[:OPTIONS], told[OPTIONS:]) if block],
        "named": named,
        "meaning": meaning,
        "scale": scales.of_difference(ends, metric) if ends else None,
        "strips": [block for block in (drawn[:STRIPS], drawn[STRIPS:]) if block],
        "design": effects(study.records),
        "importances": importances,
        "shares": shares,
        "share_scale": scales.linear([0.0, *shares.values()], lambda share: f"{100 * share:.0f} %") if shares else None,
        "importances_say": why,
    }
