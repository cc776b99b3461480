"""How a default teacher is trained, every value written out."""

from __future__ import annotations

from typing import NamedTuple

from autokd.input_values import TeacherRecipe
from autokd.networks.inputs import kind_of
from autokd.spec import from_plain, to_plain
from autokd.types import Task

SHORT = 4
"""Augmentations are compared in runs of 1 / SHORT of the full length."""

COMPARED_FROM = 12
"""Epochs of the full length below which augmentations are not compared: the comparison would take nearly half of them
to find that a short training is best without."""

LARGE = "large"
"""Name of the largest network."""


class Effort(NamedTuple):
    """What is put into a default teacher.

    Args:
      epochs: full length of a network's training.
      network: name of its size; smaller than the largest where little time is left for it.
    """

    epochs: int
    network: str = LARGE


def networks(task: Task) -> tuple[str, ...]:
    """Return the names of the sizes of a default teacher's network, the largest first; of those that are equal one."""
    kind = kind_of(task.modality)
    names: dict[str, str] = {}
    for name in kind.teacher_networks:
        names.setdefault(repr(kind.teacher_recipe(task, name).pipelines), name)
    return tuple(names.values())


def recipe(task: Task, effort: Effort) -> TeacherRecipe:
    """Return the recipe for a task and an effort.

    Raises:
      TeacherError: for this kind of input there is no default teacher.
    """
    short = kind_of(task.modality).teacher_recipe(task, effort.network)
    pipelines = short.pipelines if effort.epochs >= COMPARED_FROM else short.pipelines[-1:]
    return short._replace(pipelines=tuple(to_plain(from_plain(pipeline)) for pipeline in pipelines))
