"""Small spaces, with the data and the teacher that they are resolved for."""

from __future__ import annotations

from typing import Any

import optuna
import torch

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.networks.models import NetworkTeacher, seeded
from autokd.ranges import Choice, Integer, Range, Real
from autokd.space import Drawn, Space, parse
from autokd.space.values import Draw
from autokd.spec import make

CPU = torch.device("cpu")

ONE_LAYER = """\
student: {one_of: {mlp: {depth: 1, width: {int: [4, 7]}, dropout: 0.1}}}
augment: {one_of: {none: {}}}
losses: {always: {ce: {weight: 1.0, label_smoothing: 0.0}}, any_of: {at_most: 1, from: {kd: {}}}}
optimizer: {one_of: {adamw: {}}}
schedule: {one_of: {one_cycle: {}}}
batch_size: 32
budget: {trials: 3, epochs: 1, rungs: 1, finalists: 1, select_seeds: 1, claim_seeds: 2,
         teacher_epochs: 1}
"""
"""For tables; three trials of one epoch."""


UNSCREENED = """
description: Tiny students for the tests.
constraints: {params: 4000}
student:
  one_of:
    cnn: {width: {int: [3, 12]}, layers: {int: [1, 2]}}
augment:
  one_of:
    none: {}
    mixup: {alpha: {choice: [0.1, 0.2, 0.4]}, padding: 0.0, flip: false}
losses:
  always: {ce: {}}
  any_of: {at_most: 2, from: {kd: {}, hint: {}}}
optimizer:
  one_of:
    sgd: {learning_rate: {float: [0.02, 0.5], log: true}}
    adamw: {learning_rate: {float: [2e-3, 5e-2], log: true}}
schedule:
  one_of: {cosine: {}}
batch_size: {choice: [32, 64]}
budget:
  {trials: 8, recipes: 2, epochs: 4, rungs: 3, eta: 2, finalists: 2, select_seeds: 2, claim_seeds: 2,
   teacher_epochs: 2}
"""
SPACE = UNSCREENED + "screen: {proxies: [params, nwot], enqueue: 2}\n"


def context(data: Dataset, *, with_teacher: bool = True) -> TrainContext:
    teacher = None
    if with_teacher:
        with seeded(1):
            network = build_student(make("students", "cnn", {"layers": 2, "width": 8}), data.task)
        teacher = NetworkTeacher([network], data.task, origin="test")
    return TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())


def resolved(data: Dataset, text: str = SPACE, **limits: Any) -> Space:
    teacher = context(data).teacher
    assert teacher is not None
    return parse(text, "test.yaml").resolve(data.task, teacher.offers, **limits)


class Line:
    """A space of one parameter, x in [-1, 1]."""

    def ranges(self) -> dict[str, Real]:
        return {"x": Real(-1.0, 1.0)}

    def draw(self, draw: Draw, number: int) -> Drawn:
        x = draw.real("x", -1.0, 1.0, False)
        return Drawn({"x": x}, {"x": x})


class TrialDraw:
    """Draws a pipeline's values from an Optuna trial, as its users do."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def real(self, path: str, low: float, high: float, log: bool) -> float:
        return self._trial.suggest_float(path, low, high, log=log)

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> int:
        return self._trial.suggest_int(path, low, high, step=step, log=log)

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        return self._trial.suggest_categorical(path, options)


class Branches:
    """A conditional space: x or the whole numbers n and m stand beside a choice."""

    def ranges(self) -> dict[str, Range]:
        return {
            "which": Choice("x", "n"),
            "x": Real(0.1, 1.0, log=True),
            "n": Integer(1, 9),
            "m": Integer(4, 12, step=4),
        }

    def draw(self, draw: Draw, number: int) -> Drawn:
        params: dict[str, Any] = {"which": draw.choice("which", ("x", "n"))}
        if params["which"] == "x":
            params["x"] = draw.real("x", 0.1, 1.0, True)
        else:
            params |= {"n": draw.integer("n", 1, 9, 1, False), "m": draw.integer("m", 4, 12, 4, False)}
        return Drawn(params, params)
