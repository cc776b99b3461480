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

TINY = 16
"""Side in pixels up to which the shortest network is deep enough."""


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


def recipe(task: Task) -> Recipe:
    """Return the recipe for a kind of data."""
    short = {"image": _image_recipe, "table": _table_recipe}[task.modality](task)
    return short._replace(pipelines=tuple(to_plain(from_plain(pipeline)) for pipeline in short.pipelines))


def _image_recipe(task: Task) -> Recipe:
    common = {
        "format": 1,
        "student": {"use": "resnet", "depth": 8 if max(task.input_shape[1:]) <= TINY else 14, "width": 32},
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


def _table_recipe(task: Task) -> Recipe:
    pipeline = {
        "format": 1,
        "student": {"use": "mlp", "depth": 3, "width": 128, "dropout": 0.1},
        "augment": {"use": "none"},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    return Recipe((pipeline,), members=MEMBERS, trees=tuple(KINDS))
