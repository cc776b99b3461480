"""Where the gain comes from: hand alone, hand KD, the found recipe alone, with KD, and with the losses that were found.

All values are of validation, over the full-length trainings that the study has anyway. The two baselines were fixed
before the study began, so the trial of each counts as a seed. What the search found was chosen for its score, so its
trial counts only where nothing else was trained of it, and then flatters it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.metrics import Metric
from autokd.study.intervals import half_width
from autokd.study.records import Records, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the ladder.

    Args:
      title: at the head of a row.
      values: of the study's first objective on validation, one a seed.
      interval: 95 % interval of their mean, the spread pooled over the steps; None for a single seed.
      flattered: the value is that of the trial that was chosen for it.
    """

    title: str
    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    flattered: bool = False

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return statistics.fmean(self.values)


HAND = {"alone": "By hand, student alone", "kd": "By hand, KD"}
"""Titles of the two baselines, by the name of the recipe."""
FOUND = {
    "alone": "Found recipe, student alone",
    "kd": "Found recipe, KD",
    "pick": "Found recipe and losses (the pick)",
}
"""Titles of what was found, by the name of the arm; the recipe is student, augmentation, optimizer and schedule."""


def ladder(records: Records, epochs: int, metric: Metric) -> list[Step]:
    """Return the steps that were trained at full length, from the simplest to the pick.

    Args:
      records: the study's.
      epochs: of its longest rung.
      metric: the study's first objective.
    """
    hand = [hand_step(records, name, epochs, metric) for name in HAND]
    found = [_found_step(records, name) for name in FOUND]
    steps = [step for step in (*hand, *found) if step is not None]
    intervals = _intervals(steps, metric)
    return [dataclasses.replace(step, interval=found) for step, found in zip(steps, intervals, strict=True)]


def hand_step(records: Records, name: str, epochs: int, metric: Metric) -> Step | None:
    """Return the step of a baseline, without its interval; None where it was not trained at full length.

    Args:
      records: the study's.
      name: of the recipe, "alone" or "kd".
      epochs: of the study's longest rung.
      metric: the study's first objective.
    """
    trial = next((t for t in records.trials.values() if t.recipe == name), None)
    if trial is None:
        return None
    own = _full_score(trial, epochs)
    scores = ({} if own is None else {trial.seed: own}) | _scores(records, trial.pipeline)
    return Step(title=HAND[name], values=tuple(metric.values(scores.values()))) if scores else None


def _found_step(records: Records, name: str) -> Step | None:
    """The step of an arm of the newest claim: by the runs that no choice was made for, or else by its trial."""
    arm = None if records.claim is None else records.claim.arm(name)
    if arm is None:
        return None
    fresh = {run.seed: run.validation for purpose in ("choose", "claim") for run in arm.runs.get(purpose, ())}
    values = list(fresh.values()) or [run.validation for run in arm.runs.get("explore", ())]
    return Step(title=FOUND[name], values=tuple(values), flattered=not fresh) if values else None


def _scores(records: Records, pipeline: Mapping[str, Any]) -> dict[int, float]:
    """Scores of a pipeline's runs outside explore at full length, by seed."""
    stages = ("noise", "choose", "claim")
    runs = [r for r in records.runs if r.stage in stages and r.failure is None and r.pipeline == pipeline]
    return {run.seed: run.score for run in runs}


def _full_score(trial: TrialRecord, epochs: int) -> float | None:
    """Score of a trial at the longest rung."""
    done = trial.failure is None and trial.rungs and trial.rungs[-1].epochs >= epochs
    return trial.score if done else None


def _intervals(steps: Sequence[Step], metric: Metric) -> list[tuple[float, float] | None]:
    several = [step.values for step in steps if len(step.values) > 1]
    df = sum(len(values) - 1 for values in several)
    if not df:
        return [None] * len(steps)
    spread = math.sqrt(sum(statistics.variance(values) * (len(values) - 1) for values in several) / df)
    return [_interval(step, half_width(df) * spread, metric) for step in steps]


def _interval(step: Step, margin: float, metric: Metric) -> tuple[float, float] | None:
    if len(step.values) < 2:
        return None
    half = margin / math.sqrt(len(step.values))
    return max(metric.low, step.mean - half), min(metric.high, step.mean + half)
