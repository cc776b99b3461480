"""Where rungs are trained. The search submits plain jobs and collects plain outcomes; it never trains itself."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from autokd.engine.memory import keep_freed_memory
from autokd.engine.train import CHECKPOINT_FORMAT, OnEpoch, TrainContext, train_rung
from autokd.errors import TrialFailure
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
      load: checkpoint to go on from, or None; a missing or damaged one is trained again from scratch.
      save: where to keep the checkpoint, or None.
    """

    pipeline: Mapping[str, Any]
    seed: int
    view_seed: int
    horizon: int
    until: int
    load: Path | None = None
    save: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job: a result, or a failure {"kind": …, "reason": …}."""

    result: RungResult | None = None
    student: Mapping[str, torch.Tensor] | None = None
    failure: Mapping[str, str] | None = None


class Executor(Protocol):
    """Runs jobs; outcomes are collected in the order of submission."""

    @property
    def capacity(self) -> int: ...

    def submit(self, job: RungJob) -> None: ...

    def collect(self) -> Outcome: ...


class InlineExecutor:
    """Trains in this process, one job at a time, when its outcome is collected.

    Args:
      context: data, teacher and device.
      on_epoch: called after each epoch.
    """

    capacity = 1

    def __init__(self, context: TrainContext, on_epoch: OnEpoch | None = None) -> None:
        if context.device.type == "cpu":
            keep_freed_memory()
        self.context = context
        self.on_epoch = on_epoch
        self._queue: deque[RungJob] = deque()

    def submit(self, job: RungJob) -> None:
        self._queue.append(job)

    def collect(self) -> Outcome:
        return run_job(self.context, self._queue.popleft(), self.on_epoch)


def run_job(context: TrainContext, job: RungJob, on_epoch: OnEpoch | None = None) -> Outcome:
    """Train one rung; whatever goes wrong in it becomes an outcome with its reason."""
    try:
        return _train(context, job, on_epoch)
    except TrialFailure as error:
        return Outcome(failure={"kind": error.kind, "reason": error.reason})
    except (torch.OutOfMemoryError, MemoryError) as error:
        return Outcome(failure={"kind": "out_of_memory", "reason": _first_line(error)})
    except Exception as error:  # the one place where a crashed trial becomes a failed one
        log.debug("trial failed\n%s", traceback.format_exc())
        full = isinstance(error, RuntimeError) and any(mark in str(error) for mark in NO_MEMORY)
        kind = "out_of_memory" if full else "error"
        return Outcome(failure={"kind": kind, "reason": f"{type(error).__name__}: {_first_line(error)}"})


def _train(context: TrainContext, job: RungJob, on_epoch: OnEpoch | None) -> Outcome:
    size = len(context.data.train)
    start = load_checkpoint(job.load, context.device) if job.load is not None else None
    result, checkpoint = train_rung(
        context,
        from_plain(job.pipeline),
        seed=job.seed,
        view_seed=job.view_seed,
        horizon=job.horizon * size,
        until=job.until * size,
        start=start,
        on_epoch=on_epoch,
    )
    if job.save is not None:
        with context.profile.part("storage"):
            save_checkpoint(job.save, checkpoint)
    return Outcome(result=result, student=checkpoint["student"])


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(checkpoint, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint | None:
    """Read a checkpoint, or None where it is missing or damaged."""
    try:
        loaded: Checkpoint = torch.load(path, map_location=device, weights_only=True)
        if loaded["format"] != CHECKPOINT_FORMAT:
            raise ValueError(f"format {loaded['format']}, expected {CHECKPOINT_FORMAT}")
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file raises many things; the rung is then trained from scratch
        log.warning("checkpoint %s cannot be read (%s); training again from scratch", path, _first_line(error))
        return None
    return loaded


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
