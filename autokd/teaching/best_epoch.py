"""A network trained with cross-entropy, as it was where it was best on validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import cross_entropy

from autokd.engine.build import build_student
from autokd.engine.checkpoint import load_state, save_state
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung, curve_step
from autokd.metrics import METRICS, predictions
from autokd.networks.models import seeded
from autokd.spec import PipelineSpec
from autokd.types import Checkpoint


class Trained(NamedTuple):
    """A network at its best scored epoch.

    Args:
      score: on all of validation.
      epoch: number of epochs trained until then.
      state: its state dict.
    """

    score: float
    epoch: int
    state: Mapping[str, Tensor]


def train_best(
    context: TrainContext,
    spec: PipelineSpec,
    seed: int,
    epochs: int,
    on_epoch: Callable[[], None],
    kept: Path | None = None,
) -> Trained:
    """Train a pipeline and return the network of the best scored epoch.

    Schedules bring the learning rate down at the end of training only, so training is not left before; where the last
    epochs make the network worse, an earlier one is kept. Scored are the points of a curve, the last epoch among them;
    of equal scores the lower loss is better.

    Args:
      context: data and device.
      spec: the pipeline.
      seed: decides everything random.
      epochs: full length.
      on_epoch: called after each epoch, and at once for those that were trained before.
      kept: a file of this training, from which it goes on where it was killed; None: it is not kept.

    Raises:
      TrialFailure: the training diverged.
    """
    size = len(context.data.train)
    step = curve_step(epochs, size, len(context.data.validation))
    point = _taken_up(kept, context)
    for _ in range(point.done):
        on_epoch()
    for until in (scored for scored in (*range(step, epochs, step), epochs) if scored > point.done):
        rung = Rung(seed=seed, view_seed=seed, horizon=epochs * size, until=until * size)
        result, checkpoint = train_rung(context, spec, rung, start=point.checkpoint, on_epoch=lambda _: on_epoch())
        state = checkpoint["student"]  # the next rung goes on in a network of its own
        whole = until == epochs or context.short_validation_data is context.validation_data
        quality = (result.score, -result.loss) if whole else _quality(context, spec, state)
        better = point.best is None or quality > point.quality
        best = (quality, Trained(quality[0], until, state)) if better else (point.quality, point.best)
        point = _Point(until, checkpoint, *best)
        _keep(kept, point)
    assert point.best is not None, "there is at least one epoch"
    return point.best


class _Point(NamedTuple):
    """Where a training stands: epochs done, the state after them, and the best so far with score and minus its loss."""

    done: int
    checkpoint: Checkpoint | None
    quality: tuple[float, float]
    best: Trained | None


def _keep(kept: Path | None, point: _Point) -> None:
    if kept is not None and point.best is not None and point.checkpoint is not None:
        best = {**point.best._asdict(), "state": dict(point.best.state)}
        save_state(kept, {**point._asdict(), "checkpoint": dict(point.checkpoint), "best": best})


def _taken_up(kept: Path | None, context: TrainContext) -> _Point:
    """Where a training was left; at its beginning where nothing of it was kept."""
    found = None if kept is None else load_state(kept, context.device)
    if found is None:
        return _Point(0, None, (-math.inf, -math.inf), None)
    point = _Point(**found)
    return point._replace(best=Trained(**found["best"]))


def _quality(context: TrainContext, spec: PipelineSpec, state: Mapping[str, Tensor]) -> tuple[float, float]:
    """Score on all of validation, where a rung before the end may be scored on a part; and minus the loss in nats."""
    with seeded(0):
        network = build_student(spec.student, context.data.task, context.device)
    network.load_state_dict(state)
    logits, labels = predict(network, context.validation_data), context.data.validation.labels
    metric = METRICS[context.metric]
    return metric.score(metric.of(predictions(logits, labels))), -float(cross_entropy(logits, labels))
