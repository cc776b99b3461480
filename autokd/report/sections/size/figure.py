"""The figure: quality against parameters."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from autokd.report import plots, words
from autokd.report.numbers import mean_interval
from autokd.report.plots import ErrorScale, Figure
from autokd.report.start import start_baselines
from autokd.study.arms import phrase_of
from autokd.study.claim import Arm, Claim
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

APART = 1.06
"""Between the arms of a claim, which have the same size, as a factor."""


def figure(study: StudyStore) -> Figure:
    """The first objective on validation against parameters: trials at their last rungs, baselines, claim, teacher."""
    scale, claim = ErrorScale.of(study), study.records.claim
    sized = [(trial, trial.cost["params"]) for trial in study.records.trials.values() if _has_place(trial)]
    data = [plots.rung_trace(study, scale, rung, sized) for rung in range(study.top_rung + 1)]
    data += [_baseline_trace(scale, kind, trial) for kind, trial in start_baselines(study) if _has_place(trial)]
    data += [] if claim is None else _claim_traces(scale, claim)
    shapes, notes = plots.teacher_line(study, scale)
    return plots.figure(
        430,
        data,
        xaxis=plots.cost_axis("params", plots.all_of(data, "x")),
        yaxis=scale.axis([*plots.all_of(data, "y"), *(shape["y0"] for shape in shapes)]),
        shapes=shapes,
        annotations=notes,
        legend=plots.LEGEND_BELOW,
    )


def _has_place(trial: TrialRecord) -> bool:
    return trial.failure is None and bool(trial.rungs) and bool(trial.cost.get("params"))


def _baseline_trace(scale: ErrorScale, kind: str, trial: TrialRecord) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plots.safe(f"start baseline: {phrase_of(kind)}"),
        "x": [trial.cost["params"]],
        "y": [scale.at(scale.metric.value(trial.rungs[-1].score))],
        "marker": {"size": 10, "symbol": "square", "color": plots.arm_colour(kind)},
        "hovertext": [plots.hover(trial, f"start baseline, {plots.score_after(trial, scale.metric)}")],
        "hoverinfo": "text",
    }


def _claim_traces(scale: ErrorScale, claim: Claim) -> list[Figure]:
    arms = [arm for arm in claim.ordered if arm.cost.get("params") and arm.validation]
    middle = (len(arms) - 1) / 2
    return [_claim_trace(scale, claim, arm, APART ** (place - middle)) for place, arm in enumerate(arms)]


def _claim_trace(scale: ErrorScale, claim: Claim, arm: Arm, aside: float) -> Figure:
    mean, spread = statistics.fmean(arm.validation), words.mean_sd(arm.validation, scale.metric)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plots.safe(f"claim: {claim.phrase_of(arm)}"),
        "x": [arm.cost["params"] * aside],
        "y": [scale.at(mean)],
        "error_y": scale.between(mean, mean_interval(arm.validation, scale.metric)),
        "marker": {"size": 9, "symbol": "diamond", "color": plots.arm_colour(arm.kind)},
        "hovertext": [f"claim: {plots.safe(claim.title_of(arm))}<br>{spread}, validation"],
        "hoverinfo": "text",
    }
