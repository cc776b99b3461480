"""Tuning by training: pipelines at full length, one after another, until the seconds are over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from autokd.errors import Interrupted
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.recipes.records import RunRow
from autokd.seeds import derive
from autokd.spec import fingerprint
from benchmarks.by_hand.bench import Bench


class Candidate(NamedTuple):
    """A pipeline that may be recommended.

    Args:
      pipeline: plain.
      recipe: name of the rule that it comes from, or None.
    """

    pipeline: Mapping[str, Any]
    recipe: str | None = None

    @property
    def key(self) -> str:
        """What tells it from others."""
        return fingerprint(dict(self.pipeline))


class Found(NamedTuple):
    """What a side recommends.

    Args:
      candidate: the pipeline.
      rows: a record of every run that was finished.
      seconds: spent.
      notes: what else may explain the result.
    """

    candidate: Candidate
    rows: list[RunRow]
    seconds: float
    notes: Mapping[str, Any]


@dataclass
class Tuner:
    """Trains pipelines at full length until the seconds are over, and keeps their validation scores.

    A run that is not over by then does not count. All runs share the seed of their views, like the trials of a search,
    so that the teacher answers once for all that augment alike.

    Args:
      bench: the set.
      side: whose runs they are.
      seed: of the study.
      began: when the seconds began to count, by `time.monotonic`.
    """

    bench: Bench
    side: str
    seed: int
    began: float = field(default_factory=lambda: time.monotonic())
    rows: list[RunRow] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self.began

    @property
    def is_over(self) -> bool:
        """Whether the seconds are spent."""
        return self.spent >= self.bench.wanted.seconds

    def train(self, candidate: Candidate, repeat: int = 0) -> bool:
        """Train a pipeline with the study's seed of a repetition; return whether that was over in time."""
        if self.is_over:
            return False
        seed = derive(self.seed, "tuning", repeat)
        epochs, views = self.bench.epochs, derive(self.seed, "views")
        job = RungJob(pipeline=candidate.pipeline, seed=seed, view_seed=views, horizon=epochs, until=epochs)
        try:
            outcome = run_job(self.bench.context, job, leave=lambda: self.is_over)
        except Interrupted:
            return False
        if self.spent >= self.bench.wanted.seconds:  # in its last epoch
            return False
        if outcome.result is not None:
            self._keep(candidate, seed, outcome.result.score, outcome.result.seconds)
        return True

    def best_of(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return the candidates that were trained, best first by their mean score."""
        there = {each.key: each for each in candidates if each.key in self.scores}
        return sorted(there.values(), key=lambda each: -float(np.mean(self.scores[each.key])))

    def found(self, candidate: Candidate, **notes: Any) -> Found:
        """Return what is recommended."""
        return Found(candidate, self.rows, min(self.spent, self.bench.wanted.seconds), notes)

    def _keep(self, candidate: Candidate, seed: int, score: float, seconds: float) -> None:
        self.scores.setdefault(candidate.key, []).append(score)
        self.rows.append(
            self.bench.row(
                self.side,
                candidate.pipeline,
                recipe=candidate.recipe,
                epochs=self.bench.epochs,
                seed=seed,
                validation=score,
                seconds=round(seconds, 3),
            )
        )
