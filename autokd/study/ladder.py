"""Where the gain comes from: steps from the default recipe without a teacher to the found one with the found losses.

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
from autokd.study.intervals import Family, half_width
from autokd.study.records import Records, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the ladder.

    Args:
      name: "hand/" or "found/" and what its losses are: "alone", "kd" or "pick".
      title: at the head of a row.
      values: of the study's first objective on validation, one a seed.
      interval: 95 % interval of their mean, the spread pooled over the steps; None for a single seed.
      flattered: the value is that of the trial that was chosen for it.
    """

    name: str
    title: str
    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    flattered: bool = False

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return statistics.fmean(self.values)


HAND = {"alone": "Default recipe, no teacher", "kd": "Default recipe, plain KD"}
"""Titles of the two baselines, by the name of the recipe."""
FOUND = {
    "alone": "Found recipe, no teacher",
    "kd": "Found recipe, plain KD",
    "pick": "Found recipe, found losses",
}
"""Titles of what was found, by the name of the arm; the recipe is student, augmentation, optimizer and schedule."""

RECIPE, TEACHER, LOSSES, TEACHER_AND_LOSSES = "recipe", "teacher", "found losses", "teacher and found losses"
TOGETHER = "all together"
"""What a step adds to the one that it is built on."""
BUILT_ON: Mapping[str, tuple[tuple[str, str], ...]] = {
    "hand/kd": (("hand/alone", TEACHER),),
    "found/alone": (("hand/alone", RECIPE),),
    "found/kd": (("found/alone", TEACHER), ("hand/kd", RECIPE)),
    "found/pick": (("found/kd", LOSSES), ("found/alone", TEACHER_AND_LOSSES)),
}
"""Of each step, the ones that it may be built on and what it then adds to it; the first one that there is counts."""


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What one step adds to another, on validation.

    Args:
      what: is added: `RECIPE`, `TEACHER`, `LOSSES`, `TEACHER_AND_LOSSES` or `TOGETHER`.
      to: the step that it is added to.
      difference: of the means, above 0 where what is added is better, whichever way the metric goes.
      interval: 95 % interval; those of all steps of a ladder hold at once. None where nothing is known of the spread,
        or a trial that was chosen for its score stands on one side alone.
    """

    what: str
    to: Step
    difference: float
    interval: tuple[float, float] | None

    @property
    def told(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def gains(self) -> bool:
        """Whether what is added is better, whether or not that can be told from chance."""
        return self.difference > 0


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
    values = tuple(metric.values(scores.values()))
    return Step(name=f"hand/{name}", title=HAND[name], values=values) if values else None


def _found_step(records: Records, name: str) -> Step | None:
    """The step of an arm of the newest claim: by the runs that no choice was made for, or else by its trial."""
    arm = None if records.claim is None else records.claim.arm(name)
    if arm is None:
        return None
    fresh = {run.seed: run.validation for purpose in ("choose", "claim") for run in arm.runs.get(purpose, ())}
    values = list(fresh.values()) or [run.validation for run in arm.runs.get("explore", ())]
    step = Step(name=f"found/{name}", title=FOUND[name], values=tuple(values), flattered=not fresh)
    return step if values else None


def _scores(records: Records, pipeline: Mapping[str, Any]) -> dict[int, float]:
    """Scores of a pipeline's runs outside explore at full length, by seed."""
    stages = ("noise", "choose", "claim")
    runs = [r for r in records.runs if r.stage in stages and r.failure is None and r.pipeline == pipeline]
    return {run.seed: run.score for run in runs}


def _full_score(trial: TrialRecord, epochs: int) -> float | None:
    """Score of a trial at the longest rung."""
    done = trial.failure is None and trial.rungs and trial.rungs[-1].epochs >= epochs
    return trial.score if done else None


def additions(steps: Sequence[Step], metric: Metric) -> dict[str, Addition]:
    """Return what each step adds to the one that it is built on, by the step's name.

    Args:
      steps: of a ladder.
      metric: that they are of.
    Source of the intervals: Tukey and Kramer; the spread between seeds is pooled over the steps.
    """
    known, width = {step.name: step for step in steps}, _width(steps)
    bases = {step.name: _base(step, known) for step in steps}
    return {name: _addition(known[name], *base, width, metric) for name, base in bases.items() if base is not None}


def all_together(steps: Sequence[Step], metric: Metric) -> Addition | None:
    """Return what the last of the steps adds to the first; None with fewer than two. See `additions`."""
    return None if len(steps) < 2 else _addition(steps[-1], steps[0], TOGETHER, _width(steps), metric)


def _base(step: Step, known: Mapping[str, Step]) -> tuple[Step, str] | None:
    """The step that another is built on, and what it adds to that."""
    return next(((known[name], what) for name, what in BUILT_ON.get(step.name, ()) if name in known), None)


def _width(steps: Sequence[Step]) -> float | None:
    """Half an interval for the difference of two single runs; None where nothing is known of the spread."""
    spread, df = _spread(steps)
    return Family(len(steps), all_pairs=True).half_width(df) * spread if df else None


def _addition(step: Step, to: Step, what: str, width: float | None, metric: Metric) -> Addition:
    difference = metric.score(step.mean) - metric.score(to.mean)
    if width is None or step.flattered or to.flattered:
        return Addition(what=what, to=to, difference=difference, interval=None)
    half = width * math.sqrt(1 / len(step.values) + 1 / len(to.values))
    return Addition(what=what, to=to, difference=difference, interval=(difference - half, difference + half))


def _spread(steps: Sequence[Step]) -> tuple[float, int]:
    """Standard deviation between seeds, pooled over the steps, and its degrees of freedom; 0 of both with no two."""
    several = [step.values for step in steps if len(step.values) > 1]
    df = sum(len(values) - 1 for values in several)
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in several)
    return (math.sqrt(squares / df), df) if df else (0.0, 0)


def _intervals(steps: Sequence[Step], metric: Metric) -> list[tuple[float, float] | None]:
    spread, df = _spread(steps)
    return [_interval(step, half_width(df) * spread, metric) if df else None for step in steps]


def _interval(step: Step, margin: float, metric: Metric) -> tuple[float, float] | None:
    if len(step.values) < 2:
        return None
    half = margin / math.sqrt(len(step.values))
    return max(metric.low, step.mean - half), min(metric.high, step.mean + half)
