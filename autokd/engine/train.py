"""The one training loop: `train_rung` trains a pipeline from one point of its horizon to another.

A rung is a pure function of its arguments: initialisation, data order, views and dropout come from counters (seed,
epoch), so a run that was stopped and continued from its checkpoint is bit-identical on CPU to one that was not.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd.cost import student_cost
from autokd.data import Dataset
from autokd.engine.evaluate import metrics, predict
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import DeviceData, augmented_view, normalise, rows_key, to_device
from autokd.errors import TrialFailure
from autokd.models import seeded, shapes_of
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec, component_to_plain, fingerprint
from autokd.types import Augment, Batch, BuildContext, Checkpoint, Output, Rows, RungResult, Step, Task, Teacher, Term

CHECKPOINT_FORMAT = 1
CURVE_POINTS = 9
"""Validation points along a full horizon."""
SMALL_STEP = 5e8
"""Multiply-accumulates of a batch below which one thread is faster."""


@dataclass(frozen=True, kw_only=True)
class TrainContext:
    """What all rungs of a study share.

    Args:
      data: the dataset; its test split is never read here.
      teacher: the teacher, or None.
      device: where to train.
      bank: teacher outputs already computed.
    """

    data: Dataset
    teacher: Teacher | None
    device: torch.device
    bank: TeacherBank

    @functools.cached_property
    def train_data(self) -> DeviceData:
        return to_device(self.data.train, self.data.task, self.device)

    @functools.cached_property
    def validation_data(self) -> DeviceData:
        return to_device(self.data.validation, self.data.task, self.device)


class WeightedTerm(NamedTuple):
    """A loss term and its effective weight (searched weight times the method's own scale)."""

    term: Term
    weight: float


class Run(NamedTuple):
    """The live objects of one training run."""

    student: nn.Module
    terms: dict[str, WeightedTerm]
    term_modules: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    schedule: Callable[[float], float]
    augment: Augment
    teacher_mode: str
    peak_rates: tuple[float, ...]


OnEpoch = Callable[[Mapping[str, Any]], None]


def train_rung(
    context: TrainContext,
    spec: PipelineSpec,
    *,
    seed: int,
    view_seed: int,
    horizon: int,
    until: int,
    start: Checkpoint | None = None,
    on_epoch: OnEpoch | None = None,
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
      on_epoch: called after each epoch with its line of the curve.

    Raises:
      TrialFailure: a loss or weight became NaN or infinite.
    """
    size = len(context.data.train)
    began = time.perf_counter()
    with seeded(derive(seed, "init"), context.device), few_threads(context, spec):
        run = build_run(context, spec, horizon)
        first = restore(run, start) // size if start is not None else 0
        curve = []
        for epoch in range(first, until // size):
            torch.manual_seed(derive(seed, "dropout", epoch))
            line = _train_epoch(context, spec, run, seed=seed, view_seed=view_seed, epoch=epoch, epochs=horizon // size)
            if (epoch + 1) % max(1, horizon // size // CURVE_POINTS) == 0 or epoch + 1 == until // size:
                logits = predict(run.student, context.validation_data)
                line["score"] = metrics(logits, context.data.validation.labels).accuracy
            curve.append(line)
            if on_epoch is not None:
                on_epoch(line)
    if not curve:
        logits = predict(run.student, context.validation_data)
    if not bool(torch.isfinite(logits).all()):
        raise TrialFailure("not_finite", "the student's predictions are NaN or infinite")
    accuracy, loss = metrics(logits, context.data.validation.labels)
    seconds = time.perf_counter() - began
    return RungResult(accuracy, loss, until, seconds, tuple(curve), logits.half()), checkpoint(run, until)


@contextlib.contextmanager
def few_threads(context: TrainContext, spec: PipelineSpec) -> Iterator[None]:
    """Compute on one CPU thread where a step is too small to be worth more; the caller's setting comes back afterwards.

    Threads that wait for each other cost more than such a step, many times more on a busy machine. The rule depends on
    the pipeline alone.
    """
    cost = student_cost(spec.student, context.data.task)
    before = torch.get_num_threads()
    torch.set_num_threads(1 if cost.macs * spec.batch_size < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build_student(component: Any, task: Task, device: torch.device | None = None) -> nn.Module:
    """Build a student network, initialised from the current random state."""
    student: nn.Module = component.build(BuildContext(task=task))
    student = student.to(device) if device is not None else student
    return student.to(memory_format=torch.channels_last) if len(task.input_shape) == 3 else student  # type: ignore[call-overload]


def build_run(context: TrainContext, spec: PipelineSpec, horizon: int) -> Run:
    """Build student, losses, optimizer, schedule and augmentation of a pipeline, in this order, on the device."""
    task = context.data.task
    student = build_student(spec.student, task, context.device)
    build_context = BuildContext(
        task=task,
        student=shapes_of(student, task),
        teacher=None if context.teacher is None else context.teacher.offers,
        horizon_steps=math.ceil(task.train_size / spec.batch_size) * (horizon // task.train_size),
    )
    terms = {}
    for name, loss in spec.losses.items():
        term = loss.build(build_context)
        terms[name] = WeightedTerm(
            term.to(context.device) if isinstance(term, nn.Module) else term, loss.weight * loss.scale
        )
    term_modules = nn.ModuleDict({name: t.term for name, t in terms.items() if isinstance(t.term, nn.Module)})
    parameters = [*student.parameters(), *term_modules.parameters()]
    optimizer = spec.optimizer.build(build_context)(parameters)
    student.train()
    term_modules.train()
    return Run(
        student=student,
        terms=terms,
        term_modules=term_modules,
        optimizer=optimizer,
        schedule=spec.schedule.build(build_context),
        augment=spec.augment.build(build_context),
        teacher_mode=_teacher_mode(spec),
        peak_rates=tuple(group["lr"] for group in optimizer.param_groups),
    )


def checkpoint(run: Run, seen: int) -> Checkpoint:
    """Return the run's state as named parts of tensors and plain data."""
    return {
        "format": CHECKPOINT_FORMAT,
        "seen": seen,
        "student": run.student.state_dict(),
        "losses": run.term_modules.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }


def restore(run: Run, start: Checkpoint) -> int:
    """Load a checkpoint into a run and return the samples it had seen."""
    run.student.load_state_dict(start["student"])
    run.term_modules.load_state_dict(start["losses"])
    run.optimizer.load_state_dict(start["optimizer"])
    return int(start["seen"])


def _teacher_mode(spec: PipelineSpec) -> str:
    """ "live" if any loss needs the teacher's maps in the step, else "stored" if any reads the teacher, else "none"."""
    modes = {loss.teacher for loss in spec.losses.values()}
    return next((mode for mode in ("live", "stored") if mode in modes), "none")


def _train_epoch(
    context: TrainContext, spec: PipelineSpec, run: Run, *, seed: int, view_seed: int, epoch: int, epochs: int
) -> dict[str, Any]:
    size = len(context.data.train)
    drawn = run.augment.draw(generator(view_seed, "views", epoch), size, epoch / epochs)
    rows = {name: column.to(context.device, non_blocking=True) for name, column in drawn.items()}
    stored = _stored_outputs(context, spec, run, rows_key(drawn), rows)
    sums = torch.zeros(len(run.terms) + 1, device=context.device)
    seen = 0
    for batch in _batches(context, spec, run, rows, derive(seed, "order", epoch)):
        u = (epoch + seen / size) / epochs
        teacher = _teacher_output(context, run, stored, batch)
        sums += _train_step(run, batch, teacher, u) * len(batch.index)
        seen += len(batch.index)
    means = (sums / size).tolist()  # the one place an epoch waits for the device
    if not all(math.isfinite(value) for value in means):
        raise TrialFailure("not_finite", f"the training loss became {means[-1]} in epoch {epoch + 1}")
    terms = dict(zip(run.terms, means, strict=False))
    rate = run.optimizer.param_groups[0]["lr"]
    return {"epoch": epoch + 1, "learning_rate": rate, "loss": means[-1], "terms": terms}


def _batches(context: TrainContext, spec: PipelineSpec, run: Run, rows: Rows, order_seed: int) -> Iterator[Batch]:
    """Yield the epoch's batches: near-equal sizes, so that no batch of one sample is left over."""
    data = context.train_data
    size = len(data.labels)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(order_seed)).to(context.device)
    for index in order.tensor_split(math.ceil(size / spec.batch_size)):
        view = augmented_view(data, run.augment, rows, index)
        inputs = normalise(data, view.inputs)
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        yield Batch(inputs, view.targets, torch.ones(len(index), device=context.device), index)


def _stored_outputs(context: TrainContext, spec: PipelineSpec, run: Run, view_key: str, rows: Rows) -> Output | None:
    if run.teacher_mode != "stored":
        return None
    teacher = context.teacher
    assert teacher is not None, "a loss reads the teacher, but there is none"
    data = context.train_data

    def answer(index: Tensor) -> Output:
        return teacher.predict(normalise(data, augmented_view(data, run.augment, rows, index).inputs))

    policy = component_to_plain(spec.augment)
    key = fingerprint([teacher.fingerprint, context.data.task.fingerprint, policy, view_key])
    return context.bank.block(key, len(data.labels), answer, context.device)


def _teacher_output(context: TrainContext, run: Run, stored: Output | None, batch: Batch) -> Output | None:
    if stored is not None:
        pooled = None if stored.pooled is None else stored.pooled[batch.index].float()
        return Output(stored.logits[batch.index].float(), (), pooled)
    if run.teacher_mode == "live":
        assert context.teacher is not None, "a loss reads the teacher, but there is none"
        return context.teacher.predict(batch.inputs)
    return None


def _train_step(run: Run, batch: Batch, teacher: Output | None, u: float) -> Tensor:
    """Take one optimisation step and return the raw loss terms and the total, [terms + 1], detached, on the device."""
    factor = run.schedule(u)
    for group, peak in zip(run.optimizer.param_groups, run.peak_rates, strict=True):
        group["lr"] = peak * factor
    student: Output = run.student(batch.inputs)
    step = Step(student, teacher, batch.targets, batch.weight, batch.index, u)
    raw = [_reduce(weighted.term(step), batch.weight) for weighted in run.terms.values()]
    total = torch.stack(
        [value * weighted.weight for value, weighted in zip(raw, run.terms.values(), strict=True)]
    ).sum()
    run.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(total)
    run.optimizer.step()
    return torch.stack([*raw, total]).detach()


def _reduce(loss: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of a loss a sample; a batch statistic is taken as it is."""
    return loss if loss.dim() == 0 else (loss * weight).sum() / weight.sum()
