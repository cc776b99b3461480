"""A network trained with cross-entropy, as it was where it was best on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung, curve_step
from autokd.spec import from_plain
from autokd.types import Checkpoint


class Trained(NamedTuple):
    """A network at its best scored epoch.

    Args:
      score: on validation, as that of a rung.
      epoch: number of epochs trained until then.
      state: its state dict.
    """

    score: float
    epoch: int
    state: Mapping[str, Tensor]


def train_best(
    context: TrainContext, pipeline: Mapping[str, Any], seed: int, epochs: int, on_epoch: Callable[[], None]
) -> Trained:
    """Train a plain pipeline and return the network of the best scored epoch.

    Schedules bring the learning rate down at the end of training only, so training is not left before; where the last
    epochs make the network worse, an earlier one is kept. Scored are the points of a curve, the last epoch among them;
    of equal scores the lower loss is better.

    Args:
      context: data and device.
      pipeline: plain.
      seed: decides everything random.
      epochs: full length.
      on_epoch: called after each epoch.

    Raises:
      TrialFailure: the training diverged.
    """
    size, spec = len(context.data.train), from_plain(pipeline)
    step = curve_step(epochs, size, len(context.data.validation))
    checkpoint: Checkpoint | None = None
    best: tuple[tuple[float, float], Trained] | None = None
    for until in (*range(step, epochs, step), epochs):
        rung = Rung(seed=seed, view_seed=seed, horizon=epochs * size, until=until * size)
        result, checkpoint = train_rung(context, spec, rung, start=checkpoint, on_epoch=lambda _: on_epoch())
        quality = (result.score, -result.loss)
        if best is None or quality > best[0]:
            # the next rung goes on in a network of its own, so this state stays as it is
            best = quality, Trained(result.score, until, checkpoint["student"])
    assert best is not None, "there is at least one epoch"
    return best[1]
