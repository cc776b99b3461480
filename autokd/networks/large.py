"""Samples that are so large that a network is rather asked about smaller ones, where that tells the same."""

from __future__ import annotations

from autokd.networks.inputs import kind_of
from autokd.types import Task

LARGE_SIDE = 256
"""Side in pixels up to which samples are taken as they are."""


def is_large(task: Task) -> bool:
    """Return whether a task's samples have more than `LARGE_SIDE` pixels a side."""
    return kind_of(task.modality).side(task) > LARGE_SIDE


def compact(task: Task) -> Task:
    """Return a task with samples of at most `LARGE_SIDE` pixels a side."""
    return kind_of(task.modality).resized_task(task, LARGE_SIDE) if is_large(task) else task
