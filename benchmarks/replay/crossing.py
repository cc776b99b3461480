"""The pipelines that are crossed: 5 students x 4 augmentations x 5 losses x 3 learning rates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from autokd.space import Space, parse
from autokd.spec import component_to_plain, make
from autokd.types import Shapes, Task

STUDENTS: Mapping[str, Mapping[str, Any]] = {
    "cnn4": {"use": "cnn", "layers": 2, "width": 4},
    "cnn8": {"use": "cnn", "layers": 2, "width": 8},
    "mobilenet12": {"use": "mobilenet", "depth": 3, "width": 12},
    "resnet4": {"use": "resnet", "depth": 8, "width": 4},
    "resnet8": {"use": "resnet", "depth": 8, "width": 8},
}
AUGMENTS: Mapping[str, Mapping[str, Any]] = {
    "none": {"use": "none"},
    "crop": {"use": "crop_flip", "padding": 0.125, "flip": False},
    "mixup": {"use": "mixup", "alpha": 0.4, "padding": 0.0, "flip": False},
    "erasing": {"use": "random_erasing", "padding": 0.125, "flip": False},
}
LOSSES = ("ce", "kd", "dkd", "dist", "hint")
LEARNING_RATES = (0.01, 0.05, 0.25)
FACTORS: Mapping[str, tuple[str, ...]] = {
    "student": tuple(STUDENTS),
    "augment": tuple(AUGMENTS),
    "loss": LOSSES,
    "learning_rate": tuple(map(str, LEARNING_RATES)),
}
"""What a pipeline of the crossing is told by, in order; the last factor is ordinal."""

SPACE = """
objective: {accuracy: maximize}
student:
  one_of:
    resnet: {depth: 8, width: {choice: [4, 8]}}
    mobilenet: {depth: 3, width: 12}
    cnn: {layers: 2, width: {choice: [4, 8]}}
augment:
  one_of:
    crop_flip: {padding: 0.125, flip: false}
    none: {}
    mixup: {alpha: 0.4, padding: 0.0, flip: false}
    random_erasing: {probability: 0.5, area: 0.4, aspect: 0.3, padding: 0.125, flip: false}
losses:
  always: {ce: {weight: 1.0, label_smoothing: 0.0}}
  any_of:
    at_most: 1
    from:
      kd: {weight: 1.0, temperature: 4.0}
      dkd: {weight: 1.0, temperature: 4.0, alpha: 1.0, beta: 8.0, warmup: 0.0}
      dist: {weight: 1.0, temperature: 4.0, beta: 1.0, gamma: 1.0}
      hint: {weight: 1.0, stages: middle}
optimizer:
  always:
    sgd: {learning_rate: {choice: [0.01, 0.05, 0.25]}, momentum: 0.9, nesterov: true, weight_decay: 5.0e-4}
schedule: {always: {cosine: {warmup: 0.05, final: 1.0e-3}}}
batch_size: 32
"""
"""The same pipelines as a search space of autokd, whose own parameters stand for them."""


class Names(NamedTuple):
    """A pipeline of the crossing, by name."""

    student: str
    augment: str
    loss: str
    learning_rate: str


ALL: tuple[Names, ...] = tuple(Names(*names) for names in itertools.product(*FACTORS.values()))


def space(task: Task, teacher: Shapes) -> Space:
    """Return the crossing as a space of autokd."""
    return parse(SPACE, "crossing").resolve(task, teacher)


@functools.cache
def plain(names: Names) -> dict[str, Any]:
    """Return a pipeline of the crossing as a plain pipeline, every value written out; not to be changed."""
    losses = {"ce": make("losses", "ce", {"weight": 1.0, "label_smoothing": 0.0})}
    if names.loss != "ce":
        losses[names.loss] = make("losses", names.loss, LOSS_VALUES[names.loss])
    optimizer = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "learning_rate": float(names.learning_rate)}
    return {
        "format": 1,
        "student": _whole("students", STUDENTS[names.student]),
        "head": component_to_plain(make("heads", "plain", {})),
        "augment": _whole("augments", AUGMENTS[names.augment]),
        "losses": {name: component_to_plain(loss) for name, loss in losses.items()},
        "optimizer": component_to_plain(make("optimizers", "sgd", optimizer)),
        "schedule": component_to_plain(make("schedules", "cosine", {"warmup": 0.05, "final": 1e-3})),
        "batch_size": 32,
    }


LOSS_VALUES: Mapping[str, Mapping[str, Any]] = {
    "kd": {"weight": 1.0, "temperature": 4.0},
    "dkd": {"weight": 1.0, "temperature": 4.0, "alpha": 1.0, "beta": 8.0, "warmup": 0.0},
    "dist": {"weight": 1.0, "temperature": 4.0, "beta": 1.0, "gamma": 1.0},
    "hint": {"weight": 1.0, "stages": "middle"},
}


def names_of(pipeline: Mapping[str, Any]) -> Names:
    """Return the names of a plain pipeline of the crossing."""
    student, loss = pipeline["student"], [name for name in pipeline["losses"] if name != "ce"]
    short = {(part["use"], part["width"]): name for name, part in STUDENTS.items()}
    augments = {part["use"]: name for name, part in AUGMENTS.items()}
    return Names(
        short[student["use"], student["width"]],
        augments[pipeline["augment"]["use"]],
        loss[0] if loss else "ce",
        str(pipeline["optimizer"]["learning_rate"]),
    )


def _whole(kind: str, part: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in part.items() if key != "use"}
    return component_to_plain(make(kind, part["use"], values))
