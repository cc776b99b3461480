"""Training the rung of one job, wherever that is done; whatever goes wrong becomes an outcome with its reason."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from autokd.engine.checkpoint import delivered_state, load_checkpoint, load_state, save_state
from autokd.engine.context import TrainContext
from autokd.engine.loop import OnEpoch, Stopped, train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung, never
from autokd.errors import DISK_FULL, Interrupted, TrialFailure
from autokd.execution.executor import Outcome, RungJob
from autokd.execution.quantised import score_in_int8
from autokd.files import write_tensors
from autokd.metrics import METRICS
from autokd.spec import from_plain
from autokd.types import Checkpoint

log = logging.getLogger("autokd")

NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "ALLOC_FAILED",
    "could not create a primitive",
)
"""What torch says where memory runs out and it raises a plain RuntimeError."""


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
    size, spec = len(context.data.train), from_plain(job.pipeline)
    for prepared in prepare_artefacts(context, spec):  # a search has them made before: this is for whoever has not
        log.debug("prepared %s in %.1f s", prepared.component, prepared.seconds)
    begin = _begin(job, context.device)
    rung = Rung(
        seed=job.seed,
        view_seed=job.view_seed,
        horizon=job.horizon * size,
        until=job.until * size,
        branch=job.branch,
    )
    try:
        result, checkpoint = train_rung(
            context,
            spec,
            rung,
            start=begin.checkpoint,
            on_epoch=on_epoch,
            stop=leave,
        )
    except Stopped as stopped:
        if job.cut is not None:
            kept = _Begin(stopped.checkpoint, (*begin.curve, *stopped.curve), begin.seconds + stopped.seconds)
            save_state(job.cut, kept._asdict())
        raise
    if METRICS[context.metric].quantised and job.until == job.horizon:
        with context.profile.part("evaluate"):
            result = score_in_int8(context, spec, result, checkpoint)
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
        write_tensors(job.student, delivered_state(checkpoint))
    if job.save is not None:
        try:
            save_state(job.save, checkpoint)
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
    kept = None if job.cut is None else load_state(job.cut, device)
    if kept is not None:
        return _Begin(kept["checkpoint"], tuple(kept["curve"]), kept["seconds"])
    return _Begin(None if job.load is None else load_checkpoint(job.load, device))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
