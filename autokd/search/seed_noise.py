"""Seed noise: early in a study the better recipe by hand is trained again, as long as explore's top rung.

Its trial counts as one more seed of the same pipeline; see `autokd.study.noise.estimate`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from autokd.search.runs import WantedRun
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.seeds import derive
from autokd.study.records import Records, TrialRecord
from autokd.study.weak_teacher import weak_teacher

log = logging.getLogger("autokd")

SHARE = 0.25
"""Of explore's time left that it may take; else it is left out."""


@dataclass(frozen=True)
class SeedNoise:
    """Measures how much a score changes with the seed alone."""

    name: str = "noise"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return the runs: as long as the top rung, on the study's views."""
        seeds, epochs = scope.budget.noise_seeds, scope.budget.epochs
        return [Work(stage=self.name, part="explore", runs=seeds, epochs=epochs, horizon=epochs, reading=seeds)]

    def run(self, session: Session) -> None:
        """Train the better baseline under a few seeds, unless the study is past its baselines, or lacks time.

        Then, before anything is explored, it is said whether the teacher is no better than the student alone.
        """
        if session.is_exploring:
            return
        seeds, best = session.budget.noise_seeds, best_baseline(session.records)
        if seeds and best is not None and session.may_begin(self._seconds(session) / SHARE):
            session.runner(session.on_change).train(wanted_runs(best, session.rung_epochs[-1], session.seed, seeds))
        tell_weak_teacher(session)

    @staticmethod
    def _seconds(session: Session) -> float:
        return session.budget.noise_seeds * session.budget.epochs * session.pace / session.executor.capacity


def tell_weak_teacher(session: Session) -> None:
    """Warn of a teacher that is no better than the student alone."""
    facts, metric = session.store.settings, session.objective.metric
    weak = weak_teacher(
        session.records,
        teacher=None if facts.teacher is None else facts.teacher.validation.get(metric.in_float),
        epochs=session.rung_epochs[-1],
        validation=facts.data.validation,
        metric=metric,
    )
    if weak is not None:
        log.warning("%s", weak.text)


def wanted_runs(best: TrialRecord, epochs: int, seed: int, seeds: int) -> list[WantedRun]:
    """Return the runs that measure the noise.

    Args:
      best: the baseline that is trained again.
      epochs: of each run.
      seed: the study's.
      seeds: how many runs.
    """
    views, arm = derive(seed, "views"), best.recipe or ""
    return [WantedRun("noise", 0, arm, "", derive(seed, "noise", i), views, best.spec, epochs) for i in range(seeds)]


def best_baseline(records: Records) -> TrialRecord | None:
    """Return the baseline trial that went furthest with the best score, or None where none has a score."""
    trials = [t for t in records.trials.values() if t.is_baseline and t.rungs and t.failure is None]
    return max(trials, key=lambda t: (len(t.rungs), t.rungs[-1].score, -t.number), default=None)
