"""The one training loop: `train_rung` trains a pipeline from one point of its horizon to another.

A rung is a pure function of its arguments: initialisation, data order, views and dropout come from counters (seed,
epoch), so a run that was stopped and continued from its checkpoint is bit-identical on CPU to one that was not.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from autokd.components import HeadComponent, LossComponent, StudentComponent
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.precision import threads_for, train_dtype
from autokd.engine.step import Run, WeightedTerm, gradient_norms, train_step
from autokd.engine.teacher_bank import CHUNK, MANY_CLASSES, TOP, Block, Group
from autokd.engine.views import augmented_view, fetch, normalise, policy_key, rows_key
from autokd.errors import TrialFailure
from autokd.metrics import METRICS, measure, predictions
from autokd.networks.models import seeded, shapes_of
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec, component_to_plain, fingerprint
from autokd.types import Batch, BuildContext, Checkpoint, Output, Rows, RungResult, Shapes, Task, TeacherHead

__all__ = ["OnEpoch", "Run", "Stopped", "TrainContext", "build_run", "build_student", "train_rung"]

CHECKPOINT_FORMAT = 1
CURVE_POINTS = 9
"""Validation points along a full horizon, at most."""
CURVE_SHARE = 0.25
"""Of training's time that these points may take, those at the end of rungs left out."""
FORWARD = 1 / 3
"""Of a training step's cost that evaluation takes, about."""
STORABLE = frozenset({"features", "pooled"})
"""Parts of a teacher's output that the bank can hold."""

BRANCH_STEPS = 4
"""Fewest steps of a branch."""

MAX_NORM = 5.0
"""Norm to which gradients are cut where a loss reads more than logits: at the ends of their weights' ranges, losses on
features and their untrained projectors send a student to infinity in the first epoch."""

OnEpoch = Callable[[Mapping[str, Any]], None]


class Stopped(Exception):
    """A rung was left at the end of an epoch, as it was asked to.

    Args:
      checkpoint: to go on from.
      curve: the epochs trained since the rung's start.
      seconds: of training them.
    """

    def __init__(self, checkpoint: Checkpoint, curve: tuple[Mapping[str, Any], ...], seconds: float) -> None:
        super().__init__("the rung was left before its end")
        self.checkpoint = checkpoint
        self.curve = curve
        self.seconds = seconds


def never() -> bool:
    """Say no: nobody asks a rung to stop."""
    return False


def train_rung(
    context: TrainContext,
    spec: PipelineSpec,
    *,
    seed: int,
    view_seed: int,
    horizon: int,
    until: int,
    start: Checkpoint | None = None,
    branch: float = 0.0,
    on_epoch: OnEpoch | None = None,
    stop: Callable[[], bool] = never,
) -> tuple[RungResult, Checkpoint]:
    """Train a pipeline from a checkpoint (or from scratch) until so many samples were seen.

    Args:
      context: data, teacher, device.
      spec: the pipeline.
      seed: decides initialisation, data order and dropout.
      view_seed: decides the augmented views; runs with the same policy and view seed see the same ones.
      horizon: samples that the schedules count on; a multiple of the training set's size.
      until: samples to have seen at the end; a multiple of the training set's size, at most `horizon`.
      start: where to go on from; must come from the same spec, seed and horizon.
      branch: above 0, what is scored is a side branch of that length, as a share of the steps so far, in which the
        learning rate falls to 0; the checkpoint does not know of it.
      on_epoch: called after each epoch with its line of the curve.
      stop: asked after each epoch, those of the side branch included, whether to leave the rung there.

    Raises:
      TrialFailure: a loss or weight became NaN or infinite, in the side branch too.
      Stopped: `stop` said so.
    """
    size, metric = len(context.data.train), METRICS[context.metric]
    began = time.perf_counter()
    with seeded(derive(seed, "init"), context.device), _threads(context, spec):
        run = build_run(context, spec, horizon)
        first = restore(run, start) // size if start is not None else 0
        apart = curve_step(horizon // size, size, len(context.validation_data.labels))
        curve = []
        for epoch in range(first, until // size):
            torch.manual_seed(derive(seed, "dropout", epoch))
            at = Epoch(epoch, horizon // size, seed, view_seed, last=epoch + 1 == until // size)
            line = _train_epoch(context, spec, run, at)
            if (at.last and not branch) or (epoch + 1) % apart == 0:
                with context.profile.part("evaluate"):
                    logits = predict(run.student, context.validation_data)
                    score = metric.score(metric.of(predictions(logits, context.data.validation.labels)))
                if math.isfinite(score):
                    line["score"] = score
            curve.append(line)
            if on_epoch is not None:
                on_epoch(line)
            if (not at.last or branch) and stop():
                raise Stopped(checkpoint(run, (epoch + 1) * size), tuple(curve), time.perf_counter() - began)
        trunk = checkpoint(run, until)
        if branch:
            trunk = copy.deepcopy(trunk)
            at = Epoch(until // size - 1, horizon // size, seed, view_seed, last=True)
            if not train_branch(context, spec, run, at, branch, stop):
                raise Stopped(trunk, tuple(curve), time.perf_counter() - began)
        if branch or not curve:
            with context.profile.part("evaluate"):
                logits = predict(run.student, context.validation_data)
    if not bool(torch.isfinite(logits).all()):
        raise TrialFailure("not_finite", "the student's predictions are NaN or infinite")
    labels = context.data.validation.labels
    values, loss = measure(predictions(logits, labels)), float(cross_entropy(logits, labels))
    score, seconds = metric.score(values[metric.name]), time.perf_counter() - began
    return RungResult(score, loss, until, seconds, tuple(curve), values), trunk


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


class Epoch(NamedTuple):
    """One epoch of a run.

    Args:
      number: from 0.
      epochs: of the horizon.
      seed, view_seed: the run's.
      last: of the rung.
    """

    number: int
    epochs: int
    seed: int
    view_seed: int
    last: bool


def build_student(
    component: StudentComponent,
    task: Task,
    device: torch.device | None = None,
    *,
    head: HeadComponent | None = None,
    teacher: Shapes | None = None,
    teacher_head: TeacherHead | None = None,
) -> nn.Module:
    """Build a student network, initialised from the current random state; images are laid out channels-last.

    Args:
      component: the student.
      task: the task.
      device: where to put it.
      head: the component that is part of the student; None for the bare student.
      teacher, teacher_head: what a head may build on; see `autokd.types.BuildContext`.
    """
    student = component.build(BuildContext(task=task))
    if head is not None:
        student = head.build(BuildContext(task=task, teacher=teacher, teacher_head=teacher_head))(student)
    student = student.to(device) if device is not None else student
    return student.to(memory_format=torch.channels_last) if len(task.input_shape) == 3 else student  # type: ignore[call-overload]


def build_run(context: TrainContext, spec: PipelineSpec, horizon: int) -> Run:
    """Build student, losses, optimizer, schedule and augmentation of a pipeline, in this order, on the device.

    Args:
      context: data, teacher, device.
      spec: the pipeline.
      horizon: samples that the schedules count on.
    """
    task = context.data.task
    offers = None if context.teacher is None else context.teacher.offers
    teacher_head = context.teacher.head if context.teacher is not None and context.teacher.offers.head else None
    student = build_student(
        spec.student, task, context.device, head=spec.head, teacher=offers, teacher_head=teacher_head
    )
    build_context = BuildContext(
        task=task,
        student=shapes_of(student, task),
        teacher=offers,
        horizon_steps=math.ceil(task.train_size / spec.batch_size) * (horizon // task.train_size),
    )
    terms = {name: _term(context, loss, build_context) for name, loss in spec.losses.items()}
    term_modules = nn.ModuleDict({name: t.term for name, t in terms.items() if isinstance(t.term, nn.Module)})
    optimizer = spec.optimizer.build(build_context)([*student.parameters(), *term_modules.parameters()])
    dtype = train_dtype(context.precision, student, spec, task, context.device)
    student.train()
    term_modules.train()
    return Run(
        student=student,
        terms=terms,
        term_modules=term_modules,
        optimizer=optimizer,
        schedule=spec.schedule.build(build_context),
        peak_rates=tuple(group["lr"] for group in optimizer.param_groups),
        scaler=torch.amp.GradScaler(context.device.type, enabled=dtype == torch.float16),
        augment=spec.augment.build(build_context),
        teacher_mode=_teacher_mode(context, spec),
        dtype=dtype,
        max_norm=MAX_NORM if any(loss.declares.student_reads for loss in spec.losses.values()) else None,
    )


def checkpoint(run: Run, seen: int) -> Checkpoint:
    """Return the run's state as named parts of tensors and plain data."""
    return {
        "format": CHECKPOINT_FORMAT,
        "seen": seen,
        "student": run.student.state_dict(),
        "losses": run.term_modules.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
    }


def restore(run: Run, start: Checkpoint) -> int:
    """Load a checkpoint into a run and return the samples it had seen."""
    run.student.load_state_dict(start["student"])
    run.term_modules.load_state_dict(start["losses"])
    run.optimizer.load_state_dict(start["optimizer"])
    if start["scaler"]:
        run.scaler.load_state_dict(start["scaler"])
    return int(start["seen"])


def stored_parts(spec: PipelineSpec) -> frozenset[str]:
    """Return the parts of the teacher's output, beside the logits, that a pipeline's losses read."""
    reading = [loss.declares for loss in spec.losses.values() if loss.declares.teacher != "none"]
    return frozenset(part for declared in reading for part in declared.reads)


@contextlib.contextmanager
def _threads(context: TrainContext, spec: PipelineSpec) -> Iterator[None]:
    """Compute on as many CPU threads as pay; the caller's setting comes back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads_for(spec, context.data.task, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _term(context: TrainContext, loss: LossComponent, build_context: BuildContext) -> WeightedTerm:
    artefact = context.artefact(loss) if loss.declares.teacher != "none" else None
    term = loss.build(build_context if artefact is None else _with_artefact(build_context, artefact))
    weight = loss.weight * loss.declares.scale.value
    return WeightedTerm(term.to(context.device) if isinstance(term, nn.Module) else term, weight)


def _with_artefact(build_context: BuildContext, artefact: Any) -> BuildContext:
    return BuildContext(**{**vars(build_context), "artefact": artefact})


def _teacher_mode(context: TrainContext, spec: PipelineSpec) -> str:
    """How the teacher is read: "stored" from the bank where all that the losses need can be kept there, else "live"."""
    modes = {loss.declares.teacher for loss in spec.losses.values()}
    if "live" not in modes:
        return "stored" if "stored" in modes else "none"
    assert context.teacher is not None, "a loss reads the teacher, but there is none"
    storable = stored_parts(spec) <= STORABLE
    held = storable and context.bank.holds_features(context.teacher.offers, len(context.data.train))
    return "stored" if held else "live"


def _train_epoch(context: TrainContext, spec: PipelineSpec, run: Run, at: Epoch) -> dict[str, Any]:
    sums = torch.zeros(len(run.terms) + 1, device=context.device)
    for batch, teacher, u in _batches_answered(context, spec, run, at):
        sums += train_step(run, batch, teacher, u, context.profile) * len(batch.index)
    means = (sums / len(context.data.train)).tolist()  # the one place where an epoch waits for the device
    line = _line(run, at, means)
    if at.last and len(run.terms) > 1:
        line["gradient_norms"] = gradient_norms(run, batch, teacher, u)
        if not all(math.isfinite(norm) for norm in line["gradient_norms"].values()):
            raise TrialFailure("not_finite", f"a gradient became NaN or infinite in epoch {at.number + 1}")
    return line


def _batches_answered(
    context: TrainContext, spec: PipelineSpec, run: Run, at: Epoch
) -> Iterator[tuple[Batch, Output | None, float]]:
    """Yield an epoch's batches, the teacher's outputs on them, and the share of training done before each."""
    size, profile = len(context.data.train), context.profile
    with profile.part("data"):
        drawn = run.augment.draw(generator(at.view_seed, "views", at.number), size, at.number / at.epochs)
        rows = {name: column.to(context.device, non_blocking=True) for name, column in drawn.items()}
    with profile.part("teacher"):
        stored = _stored(context, spec, run, at, drawn, rows)
    seen = 0
    batches = _batches(context, spec, run, drawn, rows, derive(at.seed, "order", at.number))
    while True:
        context.alive()
        with profile.part("data"):
            batch = next(batches, None)
        if batch is None:
            return
        with profile.part("teacher"):
            teacher = _answer(context, run, stored, batch)
        yield batch, teacher, (at.number + seen / size) / at.epochs
        seen += len(batch.index)


def train_branch(
    context: TrainContext, spec: PipelineSpec, run: Run, at: Epoch, share: float, stop: Callable[[], bool] = never
) -> bool:
    """Train on, on the batches that come next, while the learning rate falls to 0: a short branch off a run.

    The run is changed and does not go on from there. It never leaves its horizon.

    Args:
      context, spec: of the run.
      run: at the end of an epoch.
      at: that epoch.
      share: length of the branch as a share of the steps so far, at least `BRANCH_STEPS`.
      stop: asked after each epoch whether to leave the branch there.
    Returns:
      Whether the branch came to its end.
    """
    an_epoch, done = math.ceil(len(context.data.train) / spec.batch_size), at.number + 1
    steps = min(max(BRANCH_STEPS, round(share * done * an_epoch)), (at.epochs - done) * an_epoch)
    taken, schedule = 0, run.schedule
    falling = dataclasses.replace(run, schedule=lambda u: schedule(u) * (1 - (taken + 0.5) / steps))
    for epoch in range(done, done + math.ceil(steps / an_epoch)):
        torch.manual_seed(derive(at.seed, "dropout", epoch))
        batches = _batches_answered(context, spec, falling, at._replace(number=epoch))
        for batch, teacher, u in itertools.islice(batches, steps - taken):
            train_step(falling, batch, teacher, u, context.profile)
            taken += 1
        if taken < steps and stop():
            return False
    return True


def _line(run: Run, at: Epoch, means: list[float]) -> dict[str, Any]:
    if not all(math.isfinite(value) for value in means):
        raise TrialFailure("not_finite", f"the training loss became {means[-1]} in epoch {at.number + 1}")
    line = {
        "epoch": at.number + 1,
        "learning_rate": run.optimizer.param_groups[0]["lr"],
        "loss": means[-1],
        "terms": dict(zip(run.terms, means, strict=False)),
    }
    return line if run.micro_batches == 1 else {**line, "micro_batches": run.micro_batches}


def _batches(
    context: TrainContext, spec: PipelineSpec, run: Run, drawn: Rows, rows: Rows, order_seed: int
) -> Iterator[Batch]:
    """Yield the epoch's batches: near-equal sizes, so that no batch of one sample is left over."""
    data = context.train_data
    size = len(data.labels)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(order_seed))
    weight = torch.ones(size, device=context.device)
    for fetched in fetch(data, drawn, order.tensor_split(math.ceil(size / spec.batch_size))):
        view = augmented_view(data, run.augment, rows, fetched)
        yield Batch(normalise(data, view.inputs), view.targets, weight[: len(fetched.index)], fetched.index)


def _stored(context: TrainContext, spec: PipelineSpec, run: Run, at: Epoch, drawn: Rows, rows: Rows) -> Block | None:
    """The teacher's outputs on this epoch's views of the whole training set, where they are read from the bank."""
    if run.teacher_mode != "stored":
        return None
    teacher = context.teacher
    assert teacher is not None, "a loss reads the teacher, but there is none"
    data = context.train_data

    def answers() -> Iterator[Output]:
        for fetched in fetch(data, drawn, torch.split(torch.arange(len(data.labels)), CHUNK)):
            context.alive()
            yield teacher.predict(normalise(data, augmented_view(data, run.augment, rows, fetched).inputs))

    parts = (stored_parts(spec) | context.parts) & STORABLE
    if not any(loss.declares.teacher == "live" for loss in spec.losses.values()):
        parts -= {"features"}
    return context.bank.block(_group(context, spec, at.view_seed), rows_key(drawn), answers, context.device, parts)


def _group(context: TrainContext, spec: PipelineSpec, view_seed: int) -> Group:
    teacher, task = context.teacher, context.data.task
    assert teacher is not None
    views = [task.fingerprint, policy_key(spec.augment), view_seed]
    key = fingerprint([teacher.fingerprint, *views, CHUNK, MANY_CLASSES, TOP, "float16", context.device.type])
    about = {
        "teacher": teacher.origin,
        "dataset": task.dataset,
        "augment": component_to_plain(spec.augment),
        "view_seed": view_seed,
    }
    return Group(key, about)


def _answer(context: TrainContext, run: Run, stored: Block | None, batch: Batch) -> Output | None:
    if stored is not None:
        return stored.output(batch.index)
    if run.teacher_mode == "live":
        assert context.teacher is not None, "a loss reads the teacher, but there is none"
        return context.teacher.predict(batch.inputs)
    return None
