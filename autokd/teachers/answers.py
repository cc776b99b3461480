"""What models that are no torch networks say, as logits in the order of a task's classes.

Shapes: N samples, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autokd.errors import TeacherError
from autokd.networks.class_names import knows_some, outputs_of, teachers_task
from autokd.types import Task

FLOOR = 1e-12
"""Least probability whose logarithm is a logit, as for ensembles of networks and for trees."""
SUM_IS_ONE = 0.01
"""How far probabilities that were written with few digits may be from 1 in sum; `A_CLASS` more for each class."""
A_CLASS = 5e-4
LEAST = -1e4
"""Least logit: that of a probability of 0."""

SHOWN = 8
"""Names that a message lists."""
VALUES = ("auto", "logits", "probabilities")
"""What numbers are; "auto" where they are to say it themselves."""


class Answers(NamedTuple):
    """What a model says.

    Args:
      logits: [N, C] float32, in the order of the task's classes.
      taken_as: what its numbers were taken for, in words.
    """

    logits: Tensor
    taken_as: str


def as_logits(values: NDArray[np.float64], said: str, source: str) -> Answers:
    """Return numbers as logits: probabilities and percent as their logarithms, logits as they are.

    Numbers are probabilities where all lie in [0, 1] and the rows sum to 1, percent where they sum to 100, and logits
    where some are below 0 or above 1.

    Args:
      values: [N, C]; one for each class.
      said: what they are.
      source: of the numbers, for messages.

    Raises:
      TeacherError: a number is missing or infinite, or they are not what they are said to be.
    """
    _check_there(values, source)
    low, high, sums = values.min(), values.max(), values.sum(1)
    whole = _whole(values) if said != "logits" else None
    if whole is not None:
        return Answers(_logs(values), whole)
    open_to_doubt = said == "auto" and low >= 0 and high <= 1
    if said == "probabilities" or open_to_doubt:
        hint = "; logits that happen to lie there need values=logits" if open_to_doubt else ""
        raise TeacherError(
            f"{source}: the numbers lie between {low:.3g} and {high:.3g} and sum to {sums.min():.3g} to "
            f"{sums.max():.3g} a row, so they are no probabilities, which sum to 1{hint}"
        )
    return Answers(torch.from_numpy(np.maximum(values, LEAST)).float(), "logits")


def _whole(values: NDArray[np.float64]) -> str | None:
    """What numbers are that lie above 0 and sum to 1 or 100; None for others."""
    if values.min() < -SUM_IS_ONE:
        return None
    slack = SUM_IS_ONE + A_CLASS * values.shape[1]
    kinds = {1.0: "probabilities", 100.0: "probabilities in percent"}
    return next((kind for sum_, kind in kinds.items() if np.abs(values.sum(1) / sum_ - 1).max() <= slack), None)


def _check_there(values: NDArray[np.float64], source: str) -> None:
    missing = np.flatnonzero(np.isnan(values).any(1) | (values == math.inf).any(1))
    if len(missing):
        raise TeacherError(
            f"{source}: {len(missing)} of {len(values)} rows hold NaN, infinity or nothing, the first is number "
            f"{missing[0] + 1}; every class of every sample needs a number"
        )


def both_classes(values: NDArray[np.float64], said: str, source: str) -> NDArray[np.float64]:
    """Return two columns for one that is about the second of two classes: its probability, or its logit.

    Args:
      values: [N].
      said, source: as of `as_logits`.

    Raises:
      TeacherError: they are classes, not probabilities or logits.
    """
    if np.isin(values, (0, 1)).all():
        raise TeacherError(f"{source}: names one class a row; a teacher says a number for each class")
    inside = bool(((values >= 0) & (values <= 1)).all())
    first = 1 - values if inside and said != "logits" else np.zeros_like(values)
    return np.stack([first, values], axis=1)


class Ordered(NamedTuple):
    """A model's logits [N, C] in the order of a task's classes, and whether names say that they are."""

    logits: Tensor
    named: bool


def in_class_order(logits: Tensor, given: Sequence[str], found: Sequence[str], task: Task, source: str) -> Ordered:
    """Return a model's logits [N, c] as those of a task's classes, in their order.

    Args:
      logits: of the model.
      given: names of its classes that the user gave; () for none.
      found: names of its classes that it has itself; () for none.
      task: what it is to answer on.
      source: the model, for messages.

    Raises:
      TeacherError: there are not as many names as numbers, or a class has none.
    """
    for names in (given, found):
        if names and len(names) != logits.shape[1]:
            raise TeacherError(f"{source}: {logits.shape[1]} numbers a row, and the names of {len(names)} classes")
    codes = list(map(str, range(logits.shape[1])))
    if list(found) == codes and set(codes) != set(task.classes) and len(codes) == task.num_classes:
        found = ()  # numbers that an encoder has given to the classes, in their order
    own = teachers_task(task, given, found, source)
    if own.num_classes != logits.shape[1]:
        raise TeacherError(
            f"{source}: {logits.shape[1]} numbers a row; {task.dataset} has {task.num_classes} classes: "
            f"{listed(task.classes)}"
        )
    named = bool(given) or knows_some(found, task)
    if own is task:
        return Ordered(logits, named)
    return Ordered(logits[:, outputs_of(own.classes, task, source)].contiguous(), named)


def listed(names: Sequence[object]) -> str:
    """Return the first names, and dots for more."""
    return ", ".join(map(str, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")


def _logs(values: NDArray[np.float64]) -> Tensor:
    shares = np.clip(values, 0, None)
    shares = shares / shares.sum(1, keepdims=True)
    return torch.from_numpy(np.log(np.maximum(shares, FLOOR))).float()
