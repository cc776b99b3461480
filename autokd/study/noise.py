"""How much a score changes with the seed alone, and how many seeds that asks for.

The estimate comes from `autokd.search.seed_noise`. It decides how many seeds select and claim take: as many as it
takes to see a difference that matters, at least what the budget says and at most `STRETCH` times that.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from autokd.metrics import Metric
from autokd.objective import ACCURACY
from autokd.study.design import Noise, SeedPlan
from autokd.study.intervals import detectable_errors
from autokd.study.records import Records

STRETCH = 2
"""At most so many times the budget's seeds are taken where the noise asks for more."""


def estimate(records: Records) -> Noise | None:
    """Return the spread between seeds, pooled over the pipelines of the noise and select stages.

    The noise stage's baseline counts with its trial too, which is as long. Runs that failed are left out; None where no
    pipeline has two scores.
    """
    groups: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for run in records.runs:
        if run.stage in ("noise", "select") and run.failure is None:
            groups[run.stage, run.round, run.arm].append(run.score)
    top = max((trial.rungs[-1].epochs for trial in records.trials.values() if trial.rungs), default=0)
    for trial in records.trials.values():
        group = groups.get(("noise", 0, trial.recipe or ""))
        if group and trial.failure is None and trial.rungs and trial.rungs[-1].epochs == top:
            group.append(trial.rungs[-1].score)
    several = [np.array(scores) for scores in groups.values() if len(scores) > 1]
    df = sum(len(scores) - 1 for scores in several)
    if not df:
        return None
    squares = sum(float(((scores - scores.mean()) ** 2).sum()) for scores in several)
    return Noise(math.sqrt(squares / df), df, float(np.concatenate(several).mean()))


def plan_seeds(
    noise: Noise | None, *, arms: int, least: int, stretch: int = STRETCH, metric: Metric = ACCURACY.metric
) -> SeedPlan:
    """Return how many seeds an arm a stage takes.

    Args:
      noise: the estimate, or None.
      arms: that are compared; their spreads are pooled.
      least: what the budget says.
      stretch: at most so many times `least`.
      metric: that scores are of.
    """
    if noise is None:
        return SeedPlan(least, None, None, None, f"{_seeds(least)}, as the budget says: the noise is not known")
    target = noise.target(metric)
    enough = (n for n in range(least, stretch * least + 1) if detectable(noise.sd, seeds=n, arms=arms) <= target)
    found = next(enough, None)
    short = "" if found is not None else f"{metric.number(target)} would take more than the budget bears"
    return describe_seeds(noise, found or stretch * least, arms=arms, why=short, metric=metric)


def describe_seeds(
    noise: Noise | None, seeds: int, *, arms: int, why: str, metric: Metric = ACCURACY.metric
) -> SeedPlan:
    """Return what a number of seeds tells that was not chosen for what it tells.

    Args:
      noise: the estimate, or None.
      seeds: an arm.
      arms: that are compared; their spreads are pooled.
      why: so many, in words, or "".
      metric: that scores are of.
    """
    because = f"; {why}" if why else ""
    if noise is None:
        return SeedPlan(seeds, None, None, None, f"{_seeds(seeds)}: the noise is not known{because}")
    target, seen = noise.target(metric), detectable(noise.sd, seeds=seeds, arms=arms)
    told = f"seeds alone move a score by {metric.apart(noise.sd)} (standard deviation, {noise.df} df)"
    if not math.isfinite(seen):
        text = f"{_seeds(seeds)}: {told}, too few to tell anything{because}"
        return SeedPlan(seeds, target, None, noise, text)
    text = f"{_seeds(seeds)}: {told}, so {seeds} tell {metric.apart(seen)} apart{because}"
    return SeedPlan(seeds, target, seen, noise, text)


def detectable(sd: float, *, seeds: int, arms: int) -> float:
    """Return the smallest true difference of two arms' means that is found with 80 % power; infinite for one seed.

    Source: two-sided t-test at 95 % with the spread pooled over `arms`: (t₀.₉₇₅ + t₀.₈₀) sd √(2/n).
    """
    df = arms * (seeds - 1)
    return detectable_errors(df) * sd * math.sqrt(2 / seeds) if df else math.inf


def _seeds(number: int) -> str:
    return f"{number} seed{'' if number == 1 else 's'}"
