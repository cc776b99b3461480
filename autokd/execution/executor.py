"""What an executor is: it takes plain jobs and gives plain outcomes. The search never trains itself.

`autokd.execution.inline.InlineExecutor` trains in this process; `autokd.execution.workers.WorkerExecutor` in local
worker processes. Both run `autokd.execution.run_job.run_job`, and a job's outcome does not depend on who ran it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autokd.types import RungResult


@dataclass(frozen=True, kw_only=True)
class RungJob:
    """One rung to train, as plain data.

    Args:
      pipeline: the plain pipeline.
      seed: decides initialisation, data order and dropout.
      view_seed: decides the augmented views.
      horizon, until: in epochs.
      branch: length of the side branch that is scored, as a share of the steps until its start; 0: there is none.
      load: checkpoint to go on from, or None; a missing or damaged one is trained again from scratch.
      save: where to keep the checkpoint, or None.
      student: where to keep the trained student's tensors, or None.
      cut: where to keep the state of a rung that is left before its end, and to go on from it; None: it is lost.
    """

    pipeline: Mapping[str, Any]
    seed: int
    view_seed: int
    horizon: int
    until: int
    branch: float = 0.0
    load: Path | None = None
    save: Path | None = None
    student: Path | None = None
    cut: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job: a result, or a failure {"kind": …, "reason": …}."""

    result: RungResult | None = None
    failure: Mapping[str, str] | None = None


@dataclass
class Stop:
    """What the user wants of a search that runs: nothing, to begin no more rungs, or to leave the running ones too."""

    draining: bool = False
    leaving: bool = False


class Executor(Protocol):
    """Runs jobs; outcomes are collected in the order of submission.

    What the teacher banks of its jobs did, and where their time went, is added to the counts and the profile of the
    `autokd.engine.context.TrainContext` that the search was given.
    """

    @property
    def capacity(self) -> int:
        """Jobs that run at a time."""

    def submit(self, job: RungJob) -> None:
        """Add a job to those that wait."""

    def collect(self) -> Outcome:
        """Return the outcome of the oldest job.

        Raises:
          Interrupted: it was not begun, or left before its end, because the search is to stop.
        """

    def close(self) -> None:
        """Let go of whatever trains; what is still being trained is lost."""


def job_to_plain(job: RungJob) -> dict[str, Any]:
    """Return a job as JSON keeps it."""
    values = {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()}


def job_from_plain(plain: Mapping[str, Any]) -> RungJob:
    """Return the job that `job_to_plain` wrote."""
    places = {name: Path(plain[name]) for name in ("load", "save", "student", "cut") if plain[name] is not None}
    return RungJob(**{**plain, **places})


def outcome_to_plain(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON keeps it."""
    return dataclasses.asdict(outcome)


def outcome_from_plain(plain: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `outcome_to_plain` wrote."""
    result = plain["result"]
    if result is not None:
        result = RungResult(**{**result, "curve": tuple(result["curve"])})
    return Outcome(result=result, failure=plain["failure"])
