"""What each choice did: options, values and, in a fold, the importances of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from autokd.metrics import Metric
from autokd.report import scales
from autokd.report.sections.choices.finding import finding, meaning, named
from autokd.report.sections.choices.importances import SHOWN, importances_of
from autokd.report.sections.choices.medians import Option, lengths, options
from autokd.report.sections.choices.strips import strips
from autokd.report.start import scored
from autokd.study.effects import effects

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

T = TypeVar("T")

TITLE = "Choices"
OPTIONS, STRIPS = 8, 6
"""Rows and pictures that stand open; the others are folded."""


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the options with their effects, pictures of values, importances; None where no trial has a score."""
    if not scored(study):
        return None
    rungs, found = lengths(study), options(study)
    told = [option for option in found if option.first.difference is not None]
    drawn, (importances, why) = strips(study, rungs[0]), importances_of(study)
    shares = {} if importances is None else dict(list(importances.shares.items())[:SHOWN])
    return {
        "finding": finding(study, found, rungs),
        "epochs": [study.rung_epochs[rung] for rung in rungs],
        "blocks": _parted(told, OPTIONS),
        "named": named,
        "meaning": meaning,
        "scale": _scale_of(told, study.objective.metric),
        "strips": _parted(drawn, STRIPS),
        "design": effects(study.records),
        "importances": importances,
        "shares": shares,
        "share_scale": scales.linear([0.0, *shares.values()], "{:.0%}".format),
        "importances_say": why,
    }


def _parted(items: Sequence[T], first: int) -> list[Sequence[T]]:
    """What stands open, and what is folded; without empty ones."""
    return [part for part in (items[:first], items[first:]) if part]


def _scale_of(found: Sequence[Option], metric: Metric) -> scales.Scale:
    """The axis of all effects."""
    effects_shown = [effect for option in found for effect in option.effects]
    return scales.of_difference([end for e in effects_shown for end in (e.low, e.high) if end is not None], metric)
