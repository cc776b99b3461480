"""What the trials of a study tell together: how far each came, which are alike in evidence, which is small and good."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.metrics import Metric
from autokd.objective import COSTS, UNITS
from autokd.report import words
from autokd.study.arms import ALONE, KD
from autokd.study.design import POINTS
from autokd.study.pareto import non_dominated_ranks
from autokd.study.ranking import ranked
from autokd.study.records import Records, TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FEWEST = 4
"""Trials with a score below which there is no picture."""
SIZE = next(iter(COSTS))
"""The cost that a student is small by."""
ORIGINS = {
    f"recipe:{ALONE}": "default recipe, no teacher",
    f"recipe:{KD}": "default recipe, plain KD",
    "family": "best recipe, other student",
    "warm_start": "warm start",
    "design": "best recipe, changed",
    "tpe": "sampler",
    "quasi_random": "random",
}


class Shown(NamedTuple):
    """A trial with a score.

    Args:
      trial: as recorded.
      value: of the first objective on validation: the mean of `runs` where there are some, else that of its own run.
      single: that of its own run, at the last length that it reached.
      runs: under other seeds, where it was trained again to choose between finalists; [] where it was not.
    """

    trial: TrialRecord
    value: float
    single: float
    runs: list[float]

    @property
    def number(self) -> int:
        """Of the trial."""
        return self.trial.number

    @property
    def epochs(self) -> int:
        """Of its own run, at the end."""
        return self.trial.rungs[-1].epochs

    @property
    def origin(self) -> str:
        """Where the pipeline comes from, in words."""
        source = self.trial.source
        if self.trial.recipe and not self.trial.published:
            return "rule of past studies"
        return ORIGINS.get(source, source.replace(":", " ").replace("_", " "))

    @property
    def seen(self) -> str:
        """On how many runs the value rests."""
        return "one run" if not self.runs else f"mean of {words.number_of(len(self.runs), 'run')}"


class Group(NamedTuple):
    """Trials with evidence of one kind, best first.

    Args:
      title: what they have in common.
      trials: the trials.
    """

    title: str
    trials: list[Shown]


def shown_trials(study: StudyStore) -> list[Shown]:
    """Return the trials that have a score and did not fail: those on the most evidence first, then the best."""
    metric, again = study.objective.metric, trained_again(study.records)
    shown = [_shown(trial, metric, again.get(trial.number, [])) for trial in ranked(study.records.trials.values())]
    return sorted(shown, key=lambda s: (not s.runs, -len(s.trial.rungs), -metric.score(s.value)))


def trained_again(records: Records) -> dict[int, list[float]]:
    """Return the scores under other seeds of the trials that were trained again to choose between them, by number."""
    return {candidate.trial: candidate.scores for choice in records.choices for candidate in choice.candidates}


def _shown(trial: TrialRecord, metric: Metric, scores: Sequence[float]) -> Shown:
    single, runs = metric.value(trial.rungs[-1].score), metric.values(scores)
    return Shown(trial, statistics.fmean(runs) if runs else single, single, runs)


def grouped(study: StudyStore, shown: Sequence[Shown]) -> list[Group]:
    """Return the trials of `shown_trials` in groups of one length and kind of evidence."""
    groups = itertools.groupby(shown, key=lambda s: (bool(s.runs), s.trial.rungs[-1].rung))
    return [Group(_title(study, rung, again), list(held)) for (again, rung), held in groups]


def _title(study: StudyStore, rung: int, again: bool) -> str:
    length = words.number_of(study.rung_epochs[rung], "epoch")
    if again:
        return f"{length}, trained again under other seeds: the mean of those runs"
    if rung == study.top_rung:
        return f"{length}, one run"
    return f"stopped after {length}" if study.finished else f"{length} so far"


def costs_shown(study: StudyStore) -> list[str]:
    """Return the costs that are known of every scored trial."""
    costs = [trial.cost for trial in ranked(study.records.trials.values())]
    return [name for name in COSTS if costs and all(name in cost and cost[name] > 0 for cost in costs)]


def cost_text(name: str, value: float) -> str:
    """Return what a student costs in words; counts are written out, since students differ little."""
    return words.objective(value, name) if name in UNITS else words.count(value)


def comparable(shown: Sequence[Shown]) -> list[Shown]:
    """Return those that can be compared fairly: trained again, two at least, or else all that went furthest."""
    again = [s for s in shown if s.runs]
    longest = max((len(s.trial.rungs) for s in shown), default=0)
    return again if len(again) > 1 else [s for s in shown if len(s.trial.rungs) == longest]


def front_of(shown: Sequence[Shown], costs: Sequence[float], metric: Metric) -> list[int]:
    """Return the numbers of the trials that no other one beats in value and cost, the cheapest first.

    Args:
      shown: trials.
      costs: of each, less is better.
      metric: that values are of.
    """
    ranks = non_dominated_ranks([(metric.score(s.value), -cost) for s, cost in zip(shown, costs, strict=True)])
    best = [(cost, s.number) for s, cost, rank in zip(shown, costs, ranks, strict=True) if rank == 0]
    return [number for _, number in sorted(best)]


def smallest_good(shown: Sequence[Shown], metric: Metric) -> tuple[Shown, Shown] | None:
    """Return (smallest, best): the smallest student within a hundredth of the best; None where no size is known.

    The best is the best mean over seeds where there are some, since the best of many single runs flatters; the smallest
    one is sought among all that were trained as long.
    """
    sized = [s for s in shown if SIZE in s.trial.cost]
    if not sized:
        return None
    best = max(comparable(sized), key=lambda s: (metric.score(s.value), -s.trial.cost[SIZE]))
    as_long = [s for s in sized if len(s.trial.rungs) >= len(best.trial.rungs)]
    near = [s for s in as_long if metric.score(s.value) >= metric.score(best.value) - POINTS]
    smallest = min(near, key=lambda s: (s.trial.cost[SIZE], -metric.score(s.value)))
    return (smallest if smallest.trial.cost[SIZE] < best.trial.cost[SIZE] else best), best


def a_point(metric: Metric) -> str:
    """Return a hundredth in the words of a metric: "1 point", "0.01 nats"."""
    return "1 point" if metric.unit == "%" else f"{POINTS:g} {metric.unit}".rstrip()


def heading(study: StudyStore, shown: Sequence[Shown]) -> str:
    """Return what the trials show, in a line."""
    number, metric = len(study.records.trials), study.objective.metric
    if not shown:
        failed = any(trial.failure for trial in study.records.trials.values())
        return "No pipeline could be trained" if failed else "No pipeline has a score yet"
    title = f"All {number:,} pipelines" if number > 1 else "One pipeline"
    found = smallest_good(shown, metric)
    if found is None or len(shown) < FEWEST:
        return title
    smallest, best = found
    if len({s.trial.cost[SIZE] for s in shown}) == 1:
        return f"{title}, all with students of one size"
    if smallest.trial.cost[SIZE] < best.trial.cost[SIZE]:
        size = words.number_of(round(smallest.trial.cost[SIZE]), "parameter")
        return f"{title}: a student of {size} comes within {a_point(metric)} of the best"
    return f"{title}: no smaller student comes within {a_point(metric)} of the best"


def sentences(study: StudyStore, shown: Sequence[Shown]) -> list[str]:
    """Return what stands under the picture: the smallest good student, and the best one."""
    metric = study.objective.metric
    found = smallest_good(shown, metric)
    if found is None:
        return []
    smallest, best = found
    said = [f"Best: {_told(best, metric)}."]
    if smallest.number != best.number:
        said.insert(0, f"Smallest student within {a_point(metric)} of the best: {_told(smallest, metric)}.")
    if not best.runs and len(shown) > 1:
        said.append("The best of many single runs flatters.")
    if metric.quantised:
        said.append("Trials that were stopped early, and all curves, show the accuracy in float.")
    return said if len(shown) >= FEWEST else [*said, f"A picture needs {FEWEST} trials with a score."]


def _told(s: Shown, metric: Metric) -> str:
    size = words.number_of(round(s.trial.cost[SIZE]), "parameter")
    return f"trial {s.number}, {size}, {words.quality(s.value, metric)} ({s.seen})"
