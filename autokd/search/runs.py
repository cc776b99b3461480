"""Training runs outside explore: each is trained once, recorded, and found again by whoever asks for it later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.spec import fingerprint
from autokd.study.records import RecordLog, RunRecord


class Request(NamedTuple):
    """One training run that is wanted.

    Args:
      stage, round, arm, variant, seed, pipeline: see `autokd.study.records.RunRecord`.
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
    pipeline: Mapping[str, Any]
    epochs: int
    save: Path | None = None


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

    def all(self, requests: Sequence[Request]) -> list[RunRecord]:
        """Return the record of every request.

        Requests that are the same in everything but the name of their arm are trained once. A recorded run is not
        trained again, unless its student is wanted and was lost. All runs are submitted before the first is collected,
        and recorded in the order of the requests, so results do not depend on how many run at a time.
        """
        known, missing = self._known(), dict[Key, Request]()
        for request in requests:
            if _is_wanting(request, known.get(_key(request))):
                missing.setdefault(_key(request), request)
        for key, request in missing.items():
            self.executor.submit(self._job(key, request))
        for key, request in missing.items():
            outcome = self.executor.collect()
            if key not in known:
                self.log.append("run", **_event(request, outcome, self.worst))
                self.on_change()
        known = self._known()
        return [known[_key(request)] for request in requests]

    def _known(self) -> dict[Key, RunRecord]:
        found: dict[Key, RunRecord] = {}
        for run in self.log.records.runs:
            found.setdefault(_key(run), run)
        return found

    def _job(self, key: Key, request: Request) -> RungJob:
        return RungJob(
            pipeline=request.pipeline,
            seed=request.seed,
            view_seed=request.view_seed,
            horizon=request.epochs,
            until=request.epochs,
            student=request.save,
            cut=self.folder / ("-".join(map(str, key)) + ".pt"),
        )


def _key(run: Request | RunRecord) -> Key:
    return run.stage, run.round, run.seed, fingerprint(dict(run.pipeline))


def _is_wanting(request: Request, known: RunRecord | None) -> bool:
    """Whether there is no record, or its student was lost (that of a twin is kept under the twin's name)."""
    if known is None:
        return True
    kept = request.save is None or request.arm != known.arm or request.save.exists()
    return not kept and known.failure is None


def _event(request: Request, outcome: Outcome, worst: float) -> dict[str, Any]:
    result = outcome.result
    return {
        "stage": request.stage,
        "round": request.round,
        "arm": request.arm,
        "variant": request.variant,
        "seed": request.seed,
        "pipeline": request.pipeline,
        "score": worst if result is None else result.score,
        "loss": 1e9 if result is None else result.loss,
        "seconds": 0.0 if result is None else result.seconds,
        "failure": outcome.failure,
        "metrics": {} if result is None else dict(result.metrics),
    }
