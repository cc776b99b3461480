"""Samples that are so large that a network is rather asked about smaller ones, where that tells the same."""

from __future__ import annotations

from autokd.errors import TeacherError
from autokd.networks.inputs import kind_of
from autokd.types import Task

LARGE_SIDE = 256
"""Side in pixels up to which samples are taken as they are."""


def compact(task: Task) -> Task:
    """Return a task with samples of at most `LARGE_SIDE` pixels a side; as it is where they are no larger, or fixed."""
    if len(task.input_shape) < 2 or task.input_shape[-1] <= LARGE_SIDE:
        return task
    try:
        return kind_of(task.modality).resized_task(task, LARGE_SIDE)
    except TeacherError:  # of a kind that has no other size
        return task


def is_large(task: Task) -> bool:
    """Return whether `compact` makes a task's samples smaller."""
    return compact(task).input_shape != task.input_shape
