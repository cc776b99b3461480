"""Whether a training step has room in memory, before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autokd.engine.memory import BOUND_SHARE
from autokd.errors import NothingFeasible
from autokd.free_memory import free_memory
from autokd.networks.inputs import kind_of
from autokd.networks.step_memory import kept_bytes
from autokd.search.timing.measure import Probe
from autokd.search.timing.samples import smaller_sides
from autokd.spec import component_from_plain
from autokd.teaching.recipe import recipe
from autokd.types import Task

MAPS = 3000
"""Activations of a sample, in numbers of its pixels, that no student exceeds: where these fit, nothing is computed."""
BESIDE = 1.5
"""What a step takes in all, in what it keeps for its gradients: for what is proposed, not for what is refused."""


def refuse_too_large(probe: Probe, *, timed: bool = False) -> None:
    """Refuse samples of which not a single one can be trained on with the memory that there is, on the CPU.

    What is looked at is the least that it takes, so that nothing is refused that would have run: a batch that has no
    room is cut into parts, down to single samples (`autokd.engine.step`).

    Args:
      probe: data, space, teacher and device.
      timed: a default teacher is of the size that the time bears; it is not looked at.

    Raises:
      NothingFeasible: they are too large; the message says how much is needed, and which size of picture fits.
    """
    task, most = probe.data.task, BOUND_SHARE * free_memory()
    side = kind_of(task.modality).side(task)
    if probe.device.type != "cpu" or 4 * MAPS * side**2 <= most:
        return
    pipelines = [probe.recipe(distils=False)]
    if probe.teacher is None and probe.begun is None and not timed:
        pipelines += recipe(task, probe.effort).pipelines[:1]
    needed = max(_needed(one, task) for one in pipelines)
    if needed <= most:
        return
    raise NothingFeasible(
        f"training on a single picture of {side} × {side} pixels needs at least {_text(needed)} of memory, and "
        f"{_text(most)} are free: {_remedy(task, pipelines, most)}"
    )


def _remedy(task: Task, pipelines: Sequence[Mapping[str, Any]], most: float) -> str:
    kind = kind_of(task.modality)
    for side in smaller_sides(kind.side(task)):
        if BESIDE * max(_needed(one, kind.resized_task(task, side)) for one in pipelines) <= most:
            return f"choose --image-size {side}"
    return "a smaller --image-size or more memory is needed"


def _needed(pipeline: Mapping[str, Any], task: Task) -> int:
    """Bytes that a step of one sample takes at least; 0 where its network has no shapes without weights."""
    student = component_from_plain("students", pipeline["student"])
    try:
        return kept_bytes(student, task)
    except (RuntimeError, TypeError):
        return 0


def _text(number: float) -> str:
    return f"{number / 1e9:.2g} GB" if number < 1e10 else f"{number / 1e9:,.0f} GB"
