"""Noise first: early in a study its better baseline is trained under fresh seeds, as long as explore's top rung."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd.execution.executor import Executor
from autokd.search.runs import Request, Runner
from autokd.seeds import derive
from autokd.study.noise import Noise, estimate
from autokd.study.records import RecordLog, Records, TrialRecord

SEEDS = 3
"""Under which the better baseline is trained."""


@dataclass(frozen=True, kw_only=True)
class NoiseStage:
    """Runs the better baseline under fresh seeds.

    Args:
      log: the study's records; the baselines are in them.
      executor: trains the runs.
      epochs: of explore's top rung.
      seed: the study's seed.
      folder: the study's folder.
      on_change: called after every run.
      worst: score that a run counts which failed.
    """

    log: RecordLog
    executor: Executor
    epochs: int
    seed: int
    folder: Path
    on_change: Callable[[], None]
    worst: float = 0.0

    def run(self) -> Noise | None:
        """Train what is missing and return the estimate; None where no baseline finished."""
        best = best_baseline(self.log.records)
        if best is not None:
            views, arm = derive(self.seed, "views"), best.source.removeprefix("baseline:")
            requests = [
                Request("noise", 0, arm, "", derive(self.seed, "noise", i), views, best.pipeline, self.epochs)
                for i in range(SEEDS)
            ]
            runner = Runner(
                log=self.log,
                executor=self.executor,
                folder=self.folder / "confirm",
                on_change=self.on_change,
                worst=self.worst,
            )
            runner.all(requests)
        return estimate(self.log.records)


def best_baseline(records: Records) -> TrialRecord | None:
    """Return the baseline trial that went furthest with the best score, or None where none has a score."""
    trials = [t for t in records.trials.values() if t.source.startswith("baseline:") and t.rungs and t.failure is None]
    return max(trials, key=lambda t: (len(t.rungs), t.rungs[-1].score, -t.number), default=None)
