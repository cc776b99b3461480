"""The one training loop: `train_rung` trains a pipeline from one point of its horizon to another.

A rung is a pure function of its arguments: initialisation, data order, views and dropout come from counters (seed,
epoch), so a run that was stopped and continued from its checkpoint is bit-identical on CPU to one that was not.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from autokd.engine.batches import draw_batches
from autokd.engine.branch import train_branch
from autokd.engine.build import build_run
from autokd.engine.checkpoint import restore, take_checkpoint
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, settle
from autokd.engine.precision import threads_for
from autokd.engine.rung import Epoch, Rung, epochs_of, never
from autokd.engine.step import LiveRun, gradient_norms, train_step
from autokd.engine.threads import computing_on
from autokd.engine.trained import STUDENT
from autokd.engine.views import DeviceData
from autokd.errors import TrialFailure
from autokd.metrics import METRICS, measure, predictions
from autokd.networks.models import seeded
from autokd.seeds import derive, seed_torch
from autokd.spec import PipelineSpec
from autokd.types import Checkpoint, RungResult

log = logging.getLogger("autokd")

OnEpoch = Callable[[Mapping[str, Any]], None]


class Stopped(Exception):
    """A rung was left at the end of an epoch, as it was asked to.

    Args:
      checkpoint: to go on from.
      curve: the epochs trained since the rung's start.
      seconds: of training them.
    """

    def __init__(self, checkpoint: Checkpoint, curve: Sequence[Mapping[str, Any]], seconds: float) -> None:
        super().__init__("the rung was left before its end")
        self.checkpoint = checkpoint
        self.curve = tuple(curve)
        self.seconds = seconds


def train_rung(
    context: TrainContext,
    spec: PipelineSpec,
    rung: Rung,
    *,
    start: Checkpoint | None = None,
    on_epoch: OnEpoch | None = None,
    stop: Callable[[], bool] = never,
) -> tuple[RungResult, Checkpoint]:
    """Train a pipeline from a checkpoint (or from scratch) until so many samples were seen.

    Args:
      context: data, teacher, device.
      spec: the pipeline.
      rung: how far to train, and the seeds.
      start: where to go on from; must come from the same spec, seed and horizon.
      on_epoch: called after each epoch with its line of the curve.
      stop: asked after each epoch, those of the side branch included, whether to leave the rung there.

    Raises:
      TrialFailure: a loss or weight became NaN or infinite, in the side branch too.
      Stopped: `stop` said so.
    """
    size, began = len(context.data.train), time.perf_counter()
    validation = context.validation_data if rung.until == rung.horizon else context.short_validation_data
    curve: list[Mapping[str, Any]] = []
    logits: Tensor | None = None
    threads = threads_for(spec, context.data.task, torch.get_num_threads())  # as many as pay
    with seeded(derive(rung.seed, "init"), context.device), computing_on(threads):
        run = build_run(context, spec, rung.horizon)
        first = restore(run, start) // size if start is not None else 0
        for epoch in epochs_of(rung, first, size, len(validation.labels)):
            line, logits = _train_scored_epoch(context, spec, run, epoch, validation)
            curve.append(line)
            if on_epoch is not None:
                on_epoch(line)
            if (rung.branch or not epoch.last) and stop():
                raise Stopped(take_checkpoint(run, (epoch.number + 1) * size), curve, time.perf_counter() - began)
        state = take_checkpoint(run, rung.until)
        if rung.branch:
            state, logits = copy.deepcopy(state), None
            if not train_branch(context, spec, run, rung, stop):
                raise Stopped(state, curve, time.perf_counter() - began)
        if logits is None:
            with context.profile.part("evaluate"):
                logits = _answers(context, run, validation)
    score, loss, values = _measure(context, logits, validation.labels.cpu())
    return RungResult(score, loss, rung.until, time.perf_counter() - began, tuple(curve), values), state


def train_epoch(context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch) -> dict[str, Any]:
    """Train a run for one epoch and return its line of the curve, without a validation point.

    Raises:
      TrialFailure: a loss or a gradient became NaN or infinite.
    """
    seed_torch(derive(epoch.seed, "dropout", epoch.number))
    sums = torch.zeros(sum(len(trained.terms) + 1 for trained in run.networks.values()), device=context.device)
    counted: Counter[tuple[str, str]] = Counter()
    seen = 0
    for batch, answered, u in draw_batches(context, spec, run, epoch):
        size = batch.index.shape[0]  # `len` of a tensor takes ten times as long
        sums += train_step(run, batch, answered, u, context.profile) * size
        for term in run.terms_at(u):
            counted[term] += size
        seen += size
    means = (sums / seen).tolist()  # the one place where an epoch waits for the device
    line = _line(run, epoch, means, {term: samples / seen for term, samples in counted.items()})
    if epoch.last and len(run.student.terms) > 1:
        line["gradient_norms"] = gradient_norms(run, batch, answered, u)
        if not all(math.isfinite(norm) for norm in line["gradient_norms"].values()):
            raise TrialFailure("not_finite", f"a gradient became NaN or infinite in epoch {epoch.number + 1}")
    return line


def _train_scored_epoch(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch, validation: DeviceData
) -> tuple[dict[str, Any], Tensor | None]:
    """Train for one epoch; its line, with the validation score where the curve has one, and then its logits, too."""
    line = train_epoch(context, spec, run, epoch)
    if not epoch.scored:
        return line, None
    metric = METRICS[context.metric]
    with context.profile.part("evaluate"):
        logits = _answers(context, run, validation)
        score = metric.score(metric.of(predictions(logits, validation.labels.cpu())))
    return ({**line, "score": score} if math.isfinite(score) else line), logits


def _answers(context: TrainContext, run: LiveRun, validation: DeviceData) -> Tensor:
    """What the network that is scored says of validation, by which it has chosen how to answer, where it does."""
    if context.settles:
        settle(run.student.scored, validation)
    return predict(run.student.scored, validation)


def _line(run: LiveRun, epoch: Epoch, means: list[float], shares: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    """A line of the curve: the student's loss and terms, and below its name those of a peer.

    Args:
      means: what `train_step` returns, over the epoch.
      shares: of the samples at which a term counted, by the names of network and term; its value is its mean there.
    """
    rest, networks = iter(means), {}
    for name, trained in run.networks.items():
        values = {(name, key): next(rest) for key in trained.terms}
        terms = {term[1]: value / shares[term] for term, value in values.items() if term in shares}
        networks[name] = {"loss": next(rest), "terms": terms}
    student = networks.pop(STUDENT)
    if not all(math.isfinite(value) for value in means):
        raise TrialFailure("not_finite", f"the training loss became {student['loss']} in epoch {epoch.number + 1}")
    rate = run.student.optimizer.param_groups[0]["lr"]
    line = {"epoch": epoch.number + 1, "learning_rate": rate, **student, **networks}
    if run.notes and epoch.number == 0:
        line["notes"] = list(run.notes)
        log.info("%s", "; ".join(run.notes))
    return line if run.micro_batches == 1 else {**line, "micro_batches": run.micro_batches}


def _measure(context: TrainContext, logits: Tensor, labels: Tensor) -> tuple[float, float, dict[str, float]]:
    """Score, cross-entropy in nats, and the value of every metric on validation."""
    if not bool(torch.isfinite(logits).all()):
        raise TrialFailure("not_finite", "the student's predictions are NaN or infinite")
    metric = METRICS[context.metric]
    found = predictions(logits, labels)
    values = measure(found)
    return metric.score(metric.of(found)), float(cross_entropy(logits, labels)), values
