"""What a search cost: how the best value of each study came about over its seconds of training."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from autokd.files import clean
from autokd.report.compare.facts import labels
from autokd.study.records import TrialRecord
from autokd.study.store import StudyStore


class Course(NamedTuple):
    """How the best full-length validation value came about.

    Args:
      label: of the study.
      points: (seconds of training so far, best value so far).
      baselines: value of each recipe by hand, by name.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    baselines: Mapping[str, float]


def courses(studies: Sequence[StudyStore]) -> dict[tuple[str, str], list[Course]]:
    """Return how the best value came about, by what may share an axis: the metric's name, and the dataset with data."""
    grouped: dict[tuple[str, str], list[Course]] = {}
    for study, label in zip(studies, labels(studies), strict=True):
        data = study.settings.data
        key = study.objective.metric.name, f"{clean(data.name)} {(data.task.fingerprint or '')[:12]}".strip()
        course = _course(study, label)
        if course.points:
            grouped.setdefault(key, []).append(course)
    return grouped


def _course(study: StudyStore, label: str) -> Course:
    metric, trials = study.objective.metric, study.records.trials.values()
    rungs = sorted(_ended(trials), key=lambda row: row[0])
    seconds = itertools.accumulate(took for _, took, _ in rungs)
    full = [(spent, score) for spent, (_, _, score) in zip(seconds, rungs, strict=True) if score is not None]
    best = itertools.accumulate((score for _, score in full), max)
    points = tuple((spent, metric.value(score)) for (spent, _), score in zip(full, best, strict=True))
    return Course(label, points, _by_hand(study))


def _by_hand(study: StudyStore) -> dict[str, float]:
    """Value of each recipe by hand at its longest rung, by name."""
    metric = study.objective.metric
    hand = [(trial.recipe, trial.score) for trial in study.records.trials.values() if trial.is_baseline]
    return {name: metric.value(score) for name, score in hand if name is not None and score is not None}


def _ended(trials: Iterable[TrialRecord]) -> Iterable[tuple[float, float, float | None]]:
    """(when it ended, seconds, score where it is as long as the longest) of each rung."""
    trials = list(trials)
    top = max((len(trial.rungs) for trial in trials), default=0) - 1
    for trial in trials:
        for rung in trial.rungs:
            yield rung.ended or 0.0, rung.seconds, rung.score if rung.rung == top else None
