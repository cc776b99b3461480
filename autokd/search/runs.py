"""Training runs outside explore: each is trained once, recorded, and found again by whoever asks for it later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.spec import PipelineSpec, fingerprint, to_plain
from autokd.study.records import RecordLog, RunRecord
from autokd.types import RungResult


class WantedRun(NamedTuple):
    """One training run that is wanted.

    Args:
      stage, round, arm, variant, seed: see `autokd.study.records.RunRecord`.
      spec: the pipeline.
      view_seed: decides the augmented views.
      epochs: length.
      save: where its student is kept, or None.
    """

    stage: str
    round: int
    arm: str
    variant: str
    seed: int
    view_seed: int
    spec: PipelineSpec
    epochs: int
    save: Path | None = None

    @property
    def pipeline(self) -> dict[str, Any]:
        """The plain pipeline."""
        return to_plain(self.spec)


Key = tuple[str, int, int, str]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Trains what is not recorded yet.

    Args:
      log: the study's records.
      executor: trains the runs.
      folder: where runs that are left before their end keep their state.
      on_change: called after every run.
      worst: score that a run counts which failed.
    """

    log: RecordLog
    executor: Executor
    folder: Path
    on_change: Callable[[], None]
    worst: float = 0.0

    def train(self, wanted: Sequence[WantedRun]) -> list[RunRecord]:
        """Return the record of every run that is wanted.

        Runs that are the same in everything but the name of their arm are trained once. A recorded run is not trained
        again, unless its student is wanted and was lost. All runs are submitted before the first is collected, and
        recorded in the order in which they are wanted, so results do not depend on how many run at a time.
        """
        recorded, missing = self._recorded(), dict[Key, WantedRun]()
        keys = [_key(run) for run in wanted]
        for key, run in zip(keys, wanted, strict=True):
            if _is_missing(run, recorded.get(key)):
                missing.setdefault(key, run)
        for key, run in missing.items():
            self.executor.submit(self._job(key, run))
        for key, run in missing.items():
            outcome = self.executor.collect()
            if key not in recorded:
                self.log.append("run", **_event(run, outcome, self.worst))
                self.on_change()
        recorded = self._recorded()
        return [recorded[key] for key in keys]

    def record(self, run: WantedRun, result: RungResult) -> None:
        """Record a run whose training is over already, unless it is recorded."""
        if _key(run) not in self._recorded():
            self.log.append("run", **_event(run, Outcome(result=result), self.worst))
            self.on_change()

    def _recorded(self) -> dict[Key, RunRecord]:
        first: dict[Key, RunRecord] = {}
        for run in self.log.records.runs:
            first.setdefault(_key(run), run)
        return first

    def _job(self, key: Key, run: WantedRun) -> RungJob:
        return RungJob(
            pipeline=run.pipeline,
            seed=run.seed,
            view_seed=run.view_seed,
            horizon=run.epochs,
            until=run.epochs,
            student=run.save,
            cut=self.folder / ("-".join(map(str, key)) + ".pt"),
        )


def _key(run: WantedRun | RunRecord) -> Key:
    return run.stage, run.round, run.seed, fingerprint(dict(run.pipeline))


def _is_missing(run: WantedRun, recorded: RunRecord | None) -> bool:
    """Whether there is no record, or its student was lost (that of a twin is kept under the twin's name)."""
    if recorded is None:
        return True
    kept = run.save is None or run.arm != recorded.arm or run.save.exists()
    return not kept and recorded.failure is None


def _event(run: WantedRun, outcome: Outcome, worst: float) -> dict[str, Any]:
    result = outcome.result
    return {
        "stage": run.stage,
        "round": run.round,
        "arm": run.arm,
        "variant": run.variant,
        "seed": run.seed,
        "pipeline": run.pipeline,
        "score": worst if result is None else result.score,
        "loss": 1e9 if result is None else result.loss,
        "seconds": 0.0 if result is None else result.seconds,
        "failure": outcome.failure,
        "metrics": {} if result is None else dict(result.metrics),
    }
