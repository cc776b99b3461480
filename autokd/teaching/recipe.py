"""How a default teacher is trained, every value written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from autokd.spec import from_plain, to_plain
from autokd.teaching.trees import KINDS
from autokd.types import Task

MEMBERS = 5
SHORT = 4
"""Augmentations are compared in runs of 1 / SHORT of the full length."""

COMPARED_FROM = 12
"""Epochs of the full length below which augmentations are not compared: the comparison would take nearly half of them
to find that a short training is best without."""

TINY = 16
"""Side in pixels up to which the shortest network is deep enough."""
LARGE = "large"
SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "image": {LARGE: (14, 32), "medium": (8, 32), "small": (8, 16)},
    "table": {LARGE: (3, 128)},
}
"""Depth and width of a default teacher's network by modality and name, the largest first."""


class Effort(NamedTuple):
    """What is put into a default teacher.

    Args:
      epochs: full length of a network's training.
      network: name in `SIZES`; smaller than the largest where little time is left for it.
    """

    epochs: int
    network: str = LARGE


class Recipe(NamedTuple):
    """How a default teacher is trained.

    Args:
      pipelines: plain pipelines that differ in augmentation; the best on validation in short runs is trained in full.
      members: networks of the ensemble.
      trees: names of the ensembles of trees that are fitted beside; the teacher is the best of all on validation.
    """

    pipelines: tuple[Mapping[str, Any], ...]
    members: int
    trees: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """How many short trainings come before the full ones."""
        return len(self.pipelines) if len(self.pipelines) > 1 else 0


def recipe(task: Task, effort: Effort) -> Recipe:
    """Return the recipe for a kind of data and an effort."""
    depth, width = SIZES[task.modality][effort.network]
    short = {"image": _image_recipe, "table": _table_recipe}[task.modality](task, depth, width)
    pipelines = short.pipelines if effort.epochs >= COMPARED_FROM else short.pipelines[-1:]
    return short._replace(pipelines=tuple(to_plain(from_plain(pipeline)) for pipeline in pipelines))


def _image_recipe(task: Task, depth: int, width: int) -> Recipe:
    tiny = max(task.input_shape[1:]) <= TINY
    common = {
        "format": 1,
        "student": {"use": "resnet", "depth": 8 if tiny else depth, "width": width},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    policies = (
        {"use": "crop_flip", "padding": 0.125, "flip": True},
        {"use": "crop_flip", "padding": 0.125, "flip": False},
        {"use": "none"},
    )
    return Recipe(tuple({**common, "augment": policy} for policy in policies), members=1)


def _table_recipe(task: Task, depth: int, width: int) -> Recipe:
    pipeline = {
        "format": 1,
        "student": {"use": "mlp", "depth": depth, "width": width, "dropout": 0.1},
        "augment": {"use": "none"},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    return Recipe((pipeline,), members=MEMBERS, trees=tuple(KINDS))
