"""Where rungs are trained. The search submits plain jobs and collects plain outcomes; it never trains itself.

`InlineExecutor` trains in this process; `autokd.execution.workers.WorkerExecutor` in local worker processes. Both run
the same `run_job`, and a job's outcome does not depend on who ran it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from autokd.engine.memory import keep_freed_memory
from autokd.engine.train import CHECKPOINT_FORMAT, OnEpoch, Stopped, TrainContext, never, train_rung
from autokd.errors import DISK_FULL, Interrupted, TrialFailure
from autokd.files import write_bytes, write_tensors
from autokd.spec import from_plain
from autokd.types import Checkpoint, RungResult

log = logging.getLogger("autokd")

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
"""What torch says where memory runs out and it raises a plain RuntimeError."""


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
    """Runs jobs; outcomes are collected in the order of submission."""

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


class InlineExecutor:
    """Trains in this process, one job at a time, when its outcome is collected.

    Args:
      context: data, teacher and device.
      on_epoch: called after each epoch.
      stop: what the user wants.
    """

    capacity = 1

    def __init__(self, context: TrainContext, on_epoch: OnEpoch | None = None, stop: Stop | None = None) -> None:
        if context.device.type == "cpu":
            keep_freed_memory()
        self.context = context
        self.on_epoch = on_epoch
        self.stop = stop or Stop()
        self._queue: deque[RungJob] = deque()

    def submit(self, job: RungJob) -> None:
        self._queue.append(job)

    def collect(self) -> Outcome:
        if self.stop.draining:
            raise Interrupted
        return run_job(self.context, self._queue.popleft(), self.on_epoch, lambda: self.stop.leaving)


def run_job(
    context: TrainContext, job: RungJob, on_epoch: OnEpoch | None = None, leave: Callable[[], bool] = never
) -> Outcome:
    """Train one rung; whatever goes wrong in it becomes an outcome with its reason.

    Args:
      context: data, teacher and device.
      job: the rung.
      on_epoch: called after each epoch.
      leave: asked after each epoch whether to leave the rung; its state is then kept in `job.cut`.

    Raises:
      Interrupted: `leave` said so.
      OSError: the disk is full.
    """
    try:
        return _train(context, job, on_epoch, leave)
    except Stopped as cut:
        raise Interrupted from cut
    except TrialFailure as error:
        return Outcome(failure={"kind": error.kind, "reason": error.reason})
    except (torch.OutOfMemoryError, MemoryError) as error:
        return Outcome(failure={"kind": "out_of_memory", "reason": _first_line(error)})
    except OSError as error:
        if error.errno in DISK_FULL:  # no trial's fault
            raise
        return Outcome(failure={"kind": "error", "reason": f"{type(error).__name__}: {_first_line(error)}"})
    except Exception as error:  # the one place where a crashed trial becomes a failed one
        log.debug("trial failed\n%s", traceback.format_exc())
        full = isinstance(error, RuntimeError) and any(mark in str(error) for mark in NO_MEMORY)
        kind = "out_of_memory" if full else "error"
        return Outcome(failure={"kind": kind, "reason": f"{type(error).__name__}: {_first_line(error)}"})


def _train(context: TrainContext, job: RungJob, on_epoch: OnEpoch | None, leave: Callable[[], bool]) -> Outcome:
    size = len(context.data.train)
    begin = _begin(job, context.device)
    try:
        result, checkpoint = train_rung(
            context,
            from_plain(job.pipeline),
            seed=job.seed,
            view_seed=job.view_seed,
            horizon=job.horizon * size,
            until=job.until * size,
            start=begin.checkpoint,
            branch=job.branch,
            on_epoch=on_epoch,
            stop=leave,
        )
    except Stopped as stopped:
        if job.cut is not None:
            kept = _Begin(stopped.checkpoint, (*begin.curve, *stopped.curve), begin.seconds + stopped.seconds)
            save_checkpoint(job.cut, kept._asdict())
        raise
    curve = [*begin.curve, *result.curve]
    if job.branch:
        curve[-1] = {**curve[-1], "branch": result.score}
    result = dataclasses.replace(result, seconds=begin.seconds + result.seconds, curve=tuple(curve))
    with context.profile.part("storage"):
        _keep(job, checkpoint)
    return Outcome(result=result)


def _keep(job: RungJob, checkpoint: Checkpoint) -> None:
    """Write what a job is to leave; a checkpoint that cannot be written costs time later, and nothing else."""
    if job.student is not None:
        write_tensors(job.student, checkpoint["student"])
    if job.save is not None:
        try:
            save_checkpoint(job.save, checkpoint)
        except OSError as error:
            log.warning("checkpoint %s cannot be written (%s); going on without it", job.save, error.strerror or error)
    if job.cut is not None:
        job.cut.unlink(missing_ok=True)


class _Begin(NamedTuple):
    """Where a job begins.

    Args:
      checkpoint: to go on from, or None.
      curve, seconds: of the part of the rung that was trained before.
    """

    checkpoint: Checkpoint | None
    curve: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0


def _begin(job: RungJob, device: torch.device) -> _Begin:
    """The state of a cut rung, else the checkpoint of the rung before, else nothing."""
    kept = None if job.cut is None else _read(job.cut, device)
    if kept is not None:
        return _Begin(kept["checkpoint"], tuple(kept["curve"]), kept["seconds"])
    return _Begin(None if job.load is None else load_checkpoint(job.load, device))


def save_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint: whole or not at all.

    Raises:
      OSError: it cannot be written.
    """
    content = io.BytesIO()  # torch's own writer hides what is wrong with a disk
    torch.save(dict(checkpoint), content)
    write_bytes(path, content.getvalue())


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint | None:
    """Read a checkpoint, or None where it is missing or damaged; a damaged file is put aside."""
    loaded = _read(path, device)
    if loaded is not None and loaded.get("format") != CHECKPOINT_FORMAT:
        log.warning("checkpoint %s has format %s; training again from scratch", path, loaded.get("format"))
        return None
    return loaded


def _read(path: Path, device: torch.device) -> Checkpoint | None:
    try:
        loaded: Checkpoint = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(loaded, dict):
            raise TypeError(f"it holds a {type(loaded).__name__}")
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file raises many things; the rung is then trained from scratch
        aside = path.with_suffix(".damaged")
        log.warning("checkpoint %s cannot be read (%s); training again from scratch", path, _first_line(error))
        with contextlib.suppress(OSError):
            path.replace(aside)
        return None
    return loaded


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
