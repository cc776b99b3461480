"""Racing candidates over seeds: all get the first two, then one more at a time, and what is clearly worse stops.

Scores are paired by seed: score = candidate + seed + rest. The variance of the rest, pooled over all candidates and
with the study's noise estimate (which still holds the seeds' part, so it errs on the side of keeping candidates), says
what a difference of means is worth. A candidate stops where a one-sided t-test against the leader is significant at
`LEVEL` divided by the number of such tests in the race (Bonferroni): the truly best one is stopped in at most 5 % of
races. At the end, candidates whose distance from the leader is less than what chance alone exceeds one time in five
are tied with it.

Source: Maron and Moore, Hoeffding Races, NIPS 1993; t-test races: Birattari et al., GECCO 2002.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autokd.metrics import Metric
from autokd.objective import ACCURACY, COSTS, Objective
from autokd.study.design import Noise
from autokd.study.pareto import non_dominated_ranks
from autokd.study.records import TrialRecord
from autokd.study.spread import rest_variance

LEVEL = 0.05
"""Probability, at most, that the truly best candidate is stopped."""
TIE = 0.80
"""Quantile of what chance makes of a difference, below which two candidates are tied."""
FIRST = 2
"""Seeds that every candidate gets."""

Score = float | None
Measure = Callable[[Sequence[int], Sequence[int]], Mapping[int, Sequence[Score]]]
"""Trains candidates, by number, on seeds, by index; returns each one's scores on these seeds, None for a failed run."""


class Standing(NamedTuple):
    """A candidate at the end of a race.

    Args:
      scores: one a seed; None where the run failed.
      dropped_after: seeds after which it was stopped, or None.
      tied: not distinguishable from the leader; the leader itself is.
      worst: score that a failed run counts.
    """

    scores: list[Score]
    dropped_after: int | None
    tied: bool
    worst: float = 0.0

    @property
    def counted(self) -> list[float]:
        """The scores, failed runs at what they count."""
        return [self.worst if score is None else score for score in self.scores]

    @property
    def mean(self) -> float:
        """The mean of the counted scores."""
        return float(np.mean(self.counted))


def race(
    candidates: Sequence[int],
    measure: Measure,
    *,
    most: int,
    noise: Noise | None,
    resolution: float,
    worst: float = 0.0,
) -> dict[int, Standing]:
    """Race candidates and return how each one stands, in the given order.

    What is decided after a seed depends on the scores up to it alone, so a race that is begun again from recorded
    scores goes the same way.

    Args:
      candidates: numbers.
      measure: trains them.
      most: seeds, at most.
      noise: estimated beforehand, or None.
      resolution: smallest standard deviation taken for true: equal scores of few runs are no proof of none.
      worst: score that a failed run counts.
    """
    scores: dict[int, list[Score]] = {name: [] for name in candidates}
    dropped: dict[int, int] = {}
    level = 1 - LEVEL / max(1, (len(candidates) - 1) * (most - 1))
    alive = list(candidates)
    for seeds in [range(min(FIRST, most)), *([i] for i in range(FIRST, most))]:
        if len(alive) == 1 and seeds[0] > 0:
            break
        for name, more in measure(alive, seeds).items():
            scores[name] += more
        out = failed(scores, alive)
        if not out and seeds[-1] > 0:
            out = behind(scores, alive, level, noise, resolution)
        dropped |= dict.fromkeys(out, seeds[-1] + 1)
        alive = _without(alive, out)
    tied = _tied(scores, alive, noise, resolution)
    return {name: Standing(scores[name], dropped.get(name), name in tied, worst) for name in candidates}


def _without(names: Sequence[int], out: Collection[int]) -> list[int]:
    return [name for name in names if name not in out]


def _tied(
    scores: Mapping[int, Sequence[Score]], alive: Collection[int], noise: Noise | None, resolution: float
) -> set[int]:
    """Those of `alive` that chance alone would put as far behind the leader one time in five."""
    return set(alive) - behind(scores, alive, TIE, noise, resolution)


def choose(
    trials: Sequence[TrialRecord],
    standings: Mapping[int, Standing],
    expected: Mapping[int, float],
    metric: Metric = ACCURACY.metric,
) -> tuple[TrialRecord, str]:
    """Return the trial with the highest expected score of those that were not stopped, and why, in words.

    Of several with the very same one it is the simplest: fewer loss terms, then fewer multiply-accumulates, then fewer
    parameters.

    Args:
      trials: the finalists.
      standings: at the end of their race, by trial.
      expected: posterior mean of each one's score, by trial.
      metric: that scores are of.
    """
    there = [trial for trial in trials if standings[trial.number].dropped_after is None]
    best = min(there, key=lambda trial: (-expected[trial.number], *_effort(trial), trial.number))
    stopped = [f"trial {t.number} after {n}" for t in trials if (n := standings[t.number].dropped_after)]
    worse = f"; clearly worse and stopped: {', '.join(stopped)}" if stopped else ""
    return best, f"{_why(best, there, expected, len(trials), metric)}{worse}"


def choose_of_front(
    trials: Sequence[TrialRecord],
    scores: Mapping[int, Sequence[Score]],
    values: Mapping[int, Sequence[float]],
    *,
    objective: Objective,
    noise: Noise | None,
    resolution: float,
) -> tuple[TrialRecord, list[int], dict[int, Standing], str]:
    """Choose among trials of several objectives, all trained under the same seeds.

    Those that no other one dominates, by their means over seeds, are the front. Of those on it that are tied in the
    first objective with the best one there, the cheapest is chosen.

    Args:
      trials: measured.
      scores: of the first objective, by trial, one a seed; None for a failed run, which keeps a trial off the front.
      values: means over seeds in each objective, more is better.
      objective: what the study is to be good at.
      noise, resolution: as for `race`.

    Returns:
      the chosen trial, the numbers of those on the front, how each one stands, and why, in words.
    """
    numbers = [trial.number for trial in trials]
    failing = failed(scores, numbers)
    sound = [number for number in numbers if number not in failing]
    ranks = non_dominated_ranks([values[number] for number in sound])
    front = [number for number, rank in zip(sound, ranks, strict=True) if rank == 0]
    ties = _tied(scores, front, noise, resolution)
    worst = objective.metric.worst_score
    standings = {number: Standing(list(scores[number]), None, number in ties, worst) for number in numbers}
    tied = [trial for trial in trials if trial.number in ties]
    leader = max(tied, key=lambda trial: values[trial.number][0])
    best = min(tied, key=lambda trial: (*_costs(values[trial.number], objective), *_effort(trial), trial.number))
    return best, front, standings, _why_of_front(best, leader, standings, len(front), objective)


def _costs(values: Sequence[float], objective: Objective) -> list[float]:
    """The costs among the values in each objective, less is better."""
    return [-value for name, value in zip(objective.names, values, strict=True) if name in COSTS]


def _why_of_front(
    best: TrialRecord, leader: TrialRecord, standings: Mapping[int, Standing], size: int, objective: Objective
) -> str:
    metric, mean = objective.metric, standings[leader.number].mean
    seeds = len(standings[leader.number].scores)
    of = f"of the {size} trials on the front of {', '.join(objective.names)}" if size > 1 else "alone on the front"
    over = f"over {seeds} seed{'' if seeds == 1 else 's'}"
    if best is leader:
        return f"best mean validation {metric.title} {of}, {metric.text(metric.value(mean))} {over}"
    behind_by = metric.apart(mean - standings[best.number].mean)
    return f"cheapest {of} that are tied in {metric.title} ({behind_by} behind trial {leader.number} {over})"


def _why(
    best: TrialRecord, there: Sequence[TrialRecord], expected: Mapping[int, float], finalists: int, metric: Metric
) -> str:
    if finalists == 1:
        return "the only finalist"
    shown = metric.text(metric.value(expected[best.number]))
    even = [t for t in there if t is not best and expected[t.number] == expected[best.number]]
    also = f"; as good and no simpler: {', '.join(f'trial {trial.number}' for trial in even)}" if even else ""
    return f"best expected validation score of {finalists} finalists, {shown}{also}"


def _effort(trial: TrialRecord) -> tuple[int, float, float]:
    return len(trial.pipeline["losses"]), trial.cost["macs"], trial.cost["params"]


def failed(scores: Mapping[int, Sequence[Score]], alive: Sequence[int]) -> set[int]:
    """Return those with a failed run, unless all have one."""
    found = {name for name in alive if None in scores[name]}
    return found if len(found) < len(alive) else set()


def behind(
    scores: Mapping[int, Sequence[Score]],
    alive: Collection[int],
    quantile: float,
    noise: Noise | None,
    resolution: float,
) -> set[int]:
    """Return those of `alive` whose distance from the leader exceeds a quantile of what chance makes of it.

    With a single seed and no estimate there is nothing to say what chance does, and every distance does.
    """
    from scipy import stats

    sound = _sound(scores)
    means = {name: float(np.mean(sound[name])) for name in alive if name in sound}
    if not means:
        return set()
    variance, df = rest_variance(sound.values(), noise)
    leader = max(means, key=means.__getitem__)
    error = max(math.sqrt(variance), resolution) * math.sqrt(2 / len(sound[leader]))
    margin = float(stats.t.ppf(quantile, df)) * error if df else 0.0
    return {name for name, mean in means.items() if means[leader] - mean > margin}


def _sound(scores: Mapping[int, Sequence[Score]]) -> dict[int, list[float]]:
    """The scores of those that have some, and no failed run."""
    return {name: [s for s in row if s is not None] for name, row in scores.items() if row and None not in row}
