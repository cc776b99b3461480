"""Whether a training step has room in memory, before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from autokd.engine.memory import BOUND_SHARE
from autokd.errors import NothingFeasible
from autokd.free_memory import free_memory
from autokd.networks.inputs import kind_of
from autokd.networks.step_memory import kept_bytes
from autokd.search.timing.samples import smaller_sides
from autokd.spec import component_from_plain
from autokd.types import Task

MAPS = 1000
"""Activations of a sample, in sizes of its input, that no student exceeds: where these fit, nothing is computed."""
BESIDE = 1.5
"""What a step takes in all, in what it keeps for its gradients: for what is proposed, not for what is refused."""


def refuse_too_large(task: Task, pipelines: Iterator[Mapping[str, Any]], device: torch.device) -> None:
    """Refuse samples with which a training step takes more memory than there is, on the CPU.

    What is looked at is the least that it takes, so that nothing is refused that would have run.

    Args:
      task: the task.
      pipelines: that will be trained in any case, plain.
      device: where.

    Raises:
      NothingFeasible: it does; the message says how much, and which size of picture fits.
    """
    shape, most = task.input_shape, BOUND_SHARE * free_memory()
    if device.type != "cpu" or len(shape) < 2:
        return
    doubtful = [one for one in pipelines if _batch(one, task) * 4 * MAPS * math.prod(shape) > most]
    needed = max((_needed(one, task) for one in doubtful), default=0)
    if needed <= most:
        return
    kind = kind_of(task.modality)
    fitting = (
        side
        for side in smaller_sides(shape[-1])
        if BESIDE * max(_needed(one, kind.resized_task(task, side)) for one in doubtful) <= most
    )
    fits = next(fitting, None)
    remedy = "a smaller --image-size or more memory is needed" if fits is None else f"choose --image-size {fits}"
    pictures = f"{shape[-1]} × {shape[-2]} pixels"
    raise NothingFeasible(
        f"training on pictures of {pictures} needs at least {_text(needed)} of memory for one batch, and {_text(most)} "
        f"are free: {remedy}"
    )


def _batch(pipeline: Mapping[str, Any], task: Task) -> int:
    """Samples of a training step."""
    return min(int(pipeline["batch_size"]), task.train_size)


def _needed(pipeline: Mapping[str, Any], task: Task) -> int:
    """Bytes that a step takes at least; 0 where its network has no shapes without weights."""
    student = component_from_plain("students", pipeline["student"])
    try:
        return _batch(pipeline, task) * kept_bytes(student, task)
    except (RuntimeError, TypeError):
        return 0


def _text(number: float) -> str:
    return f"{number / 1e9:.2g} GB" if number < 1e10 else f"{number / 1e9:,.0f} GB"
