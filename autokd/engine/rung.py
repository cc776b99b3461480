"""What a rung is: from where to where a run is trained, its epochs, and where the points of its curve lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

CURVE_POINTS = 9
"""Validation points along a full horizon, at most."""
CURVE_SHARE = 0.25
"""Of training's time that these points may take, those at the end of rungs left out."""
FORWARD = 1 / 3
"""Of a training step's cost that evaluation takes, about."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A part of a run, up to a point of its horizon, and what decides its random numbers.

    Args:
      seed: decides initialisation, data order and dropout.
      view_seed: decides the augmented views; runs with the same policy and view seed see the same ones.
      horizon: samples that the schedules count on; a multiple of the training set's size.
      until: samples to have seen at the end; a multiple of the training set's size, at most `horizon`.
      branch: above 0, what is scored is a side branch of that length, as a share of the steps so far, in which the
        learning rate falls to 0; the checkpoint does not know of it.
    """

    seed: int
    view_seed: int
    horizon: int
    until: int
    branch: float = 0.0


class Epoch(NamedTuple):
    """One epoch of a run.

    Args:
      number: from 0.
      epochs: of the horizon.
      seed, view_seed: the run's.
      last: of the rung.
      scored: the curve has a validation point at its end.
    """

    number: int
    epochs: int
    seed: int
    view_seed: int
    last: bool = False
    scored: bool = False


def epochs_of(rung: Rung, first: int, train: int, validation: int) -> Iterator[Epoch]:
    """Yield the epochs of a rung.

    Args:
      rung: the rung.
      first: number of the first epoch that is still to be trained.
      train, validation: samples.
    """
    horizon, end = rung.horizon // train, rung.until // train
    step = curve_step(horizon, train, validation)
    for number in range(first, end):
        last = number + 1 == end
        scored = (last and not rung.branch) or (number + 1) % step == 0
        yield Epoch(number, horizon, rung.seed, rung.view_seed, last, scored)


def curve_step(epochs: int, train: int, validation: int) -> int:
    """Return the epochs between two validation points of a curve: more where little is trained on.

    Args:
      epochs: of the horizon.
      train, validation: samples.
    """
    return max(1, epochs // CURVE_POINTS, math.ceil(FORWARD * validation / (CURVE_SHARE * train)))


def run_samples(epochs: float, horizon: int, train: int, validation: int) -> float:
    """Return what a run takes, its validation points included, as samples of training.

    Args:
      epochs: of the run.
      horizon: epochs that its curve counts on.
      train, validation: samples.
    """
    points = 1 + epochs / curve_step(horizon, max(1, train), validation)
    return epochs * train + points * validation * FORWARD


def never() -> bool:
    """Say no: nobody asks a rung to stop."""
    return False
