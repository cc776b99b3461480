"""One optimisation step, as a function of the run and the batch."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.engine.epoch import Passes
from autokd.engine.profile import Profile
from autokd.networks.models import as_output
from autokd.types import Augment, Batch, Output, Selection, Step, Term

NORM_SAMPLES = 32
"""Samples of a batch on which gradient norms are taken: enough to compare terms by, and cheap."""


class WeightedTerm(NamedTuple):
    """A loss term.

    Args:
      term: the loss on a step.
      weight: effective: searched weight times the method's own scale.
      reads_labels: it is about labelled samples only.
    """

    term: Term
    weight: float
    reads_labels: bool = False


@dataclass
class LiveRun:
    """The live objects of one training run.

    Args:
      student: the network that is trained.
      terms: the losses by instance name.
      term_modules: those of them that are modules; their parameters train too.
      optimizer, schedule, peak_rates: the schedule multiplies each parameter group's peak learning rate.
      scaler: of the loss, where the student computes in float16.
      augment: the policy.
      selection, passes: which samples it is trained on, and how its passes over them lie in its epochs.
      teacher_mode: "none", "stored" or "live".
      dtype: the type that the student computes in.
      max_norm: the gradient is scaled down to this norm where it is longer; None: it is not.
      micro_batches: parts that a batch is cut into, so that it fits into memory.
    """

    student: nn.Module
    terms: dict[str, WeightedTerm]
    term_modules: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    schedule: Callable[[float], float]
    peak_rates: tuple[float, ...]
    scaler: torch.amp.GradScaler
    augment: Augment
    selection: Selection
    passes: Passes
    teacher_mode: str
    dtype: torch.dtype
    max_norm: float | None = None
    micro_batches: int = 1


def train_step(run: LiveRun, batch: Batch, teacher: Output | None, u: float, profile: Profile) -> Tensor:
    """Take one step; a batch that does not fit into memory is cut into parts whose gradients add up.

    Args:
      run: the training run; its `micro_batches` grows where memory runs out.
      batch, teacher: the batch and the teacher's outputs on it.
      u: share of training done.
    Returns:
      [terms + 1], the raw loss terms and the weighted total, detached, on the device.

    Raises:
      torch.OutOfMemoryError: not even single samples fit.
    """
    factor = run.schedule(u)
    for group, peak in zip(run.optimizer.param_groups, run.peak_rates, strict=True):
        group["lr"] = peak * factor
    while True:
        try:
            return _step(run, batch, teacher, u, profile)
        except torch.OutOfMemoryError:
            if run.micro_batches >= len(batch.index):
                raise
        run.micro_batches *= 2  # out here the error no longer holds on to the step's tensors
        if batch.index.is_cuda:
            torch.cuda.empty_cache()


def gradient_norms(run: LiveRun, batch: Batch, teacher: Output | None, u: float) -> dict[str, float]:
    """Return the norm of each weighted term's gradient with respect to the student's parameters, on a part of a batch.

    Buffers, such as batch-norm statistics, are not moved: neither the student's nor the losses'.
    """
    few = slice(0, min(NORM_SAMPLES, math.ceil(len(batch.index) / run.micro_batches)))
    batch, teacher = _cut(batch, few), None if teacher is None else teacher.map(operator.itemgetter(few))
    buffers = [*run.student.buffers(), *run.term_modules.buffers()]
    before = [buffer.clone() for buffer in buffers]
    parameters = [parameter for parameter in run.student.parameters() if parameter.requires_grad]
    raw, _ = _losses(run, batch, teacher, u)
    norms = {}
    for (name, weighted), value in zip(run.terms.items(), raw, strict=True):
        norms[name] = _gradient_norm(value * weighted.weight, parameters)
    with torch.no_grad():
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
    return norms


def _gradient_norm(value: Tensor, parameters: list[nn.Parameter]) -> float:
    """The norm of a value's gradient; 0 where it does not depend on the parameters."""
    if not value.requires_grad:
        return 0.0
    grads = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    squares = [grad.float().square().sum() for grad in grads if grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _step(run: LiveRun, batch: Batch, teacher: Output | None, u: float, profile: Profile) -> Tensor:
    run.optimizer.zero_grad(set_to_none=True)
    values: Tensor | None = None
    for part, answer, shares in _parts(batch, teacher, run.micro_batches):
        with profile.part("forward"):
            raw, total = _losses(run, part, answer, u, shares)
        with profile.part("backward"):
            torch.autograd.backward(run.scaler.scale(total))
        found = torch.stack([*raw, total]).detach()
        values = found if values is None else values + found
    with profile.part("optimizer"):
        if run.max_norm is not None:
            run.scaler.unscale_(run.optimizer)
            parameters = [p for group in run.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, run.max_norm)
        run.scaler.step(run.optimizer)
        run.scaler.update()
    assert values is not None
    return values


def _losses(
    run: LiveRun, batch: Batch, teacher: Output | None, u: float, shares: _Shares | None = None
) -> tuple[list[Tensor], Tensor]:
    """Each term on a batch, and their weighted sum; of a part of a batch, its share of the whole batch's."""
    device = batch.index.device
    half = run.dtype != torch.float32
    with torch.autocast(device.type, run.dtype) if half else contextlib.nullcontext():
        student = as_output(run.student(batch.inputs))
    student, known = student.map(_float) if half else student, batch.labelled
    labelled = None if known is None else known.to(device, non_blocking=True)
    step = Step(student, teacher, batch.targets, batch.weight, batch.index, u, labelled)
    with_labels = step if known is None else _where_labelled(step, known)
    seen = [with_labels if weighted.reads_labels else step for weighted in run.terms.values()]
    raw = [_value(weighted.term, its_step) for weighted, its_step in zip(run.terms.values(), seen, strict=True)]
    if shares is not None:
        raw = [value * shares.of(weighted) for value, weighted in zip(raw, run.terms.values(), strict=True)]
    total = raw[0] * next(iter(run.terms.values())).weight
    for value, weighted in list(zip(raw, run.terms.values(), strict=True))[1:]:
        total = total + value * weighted.weight
    return raw, total


def _where_labelled(step: Step, known: Tensor) -> Step:
    """The labelled samples of a step; `known` is on the CPU."""
    rows = known.nonzero().squeeze(1).to(step.index.device, non_blocking=True)
    take = operator.itemgetter(rows)
    return Step(
        step.student.map(take),
        None if step.teacher is None else step.teacher.map(take),
        step.targets[rows],
        step.weight[rows],
        step.index[rows],
        step.u,
        torch.ones_like(rows, dtype=torch.bool),
    )


class _Shares(NamedTuple):
    """Shares of a batch's weight that a part of it has.

    Args:
      every: of all samples.
      labelled: of the labelled ones; 0 where there are none.
    """

    every: Tensor
    labelled: Tensor

    def of(self, weighted: WeightedTerm) -> Tensor:
        """Return the share that counts for a term."""
        return self.labelled if weighted.reads_labels else self.every


def _shares(batch: Batch, part: Batch) -> _Shares:
    every = part.weight.sum() / batch.weight.sum()
    if batch.labelled is None or part.labelled is None:
        return _Shares(every, every)
    known = ((batch.weight, batch.labelled), (part.weight, part.labelled))
    whole, own = (weight @ labelled.to(weight) for weight, labelled in known)
    return _Shares(every, own / whole.clamp_min(torch.finfo(whole.dtype).tiny))


def _parts(batch: Batch, teacher: Output | None, count: int) -> list[tuple[Batch, Output | None, _Shares | None]]:
    """Cut a batch into near-equal parts, each with its shares of the weight; None stands for all of it."""
    if count == 1:
        return [(batch, teacher, None)]
    pieces = torch.arange(len(batch.index)).tensor_split(count)
    cuts = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces if len(piece)]
    parts = [(_cut(batch, cut), None if teacher is None else teacher.map(operator.itemgetter(cut))) for cut in cuts]
    return [(part, answer, _shares(batch, part)) for part, answer in parts]


def _cut(batch: Batch, cut: slice) -> Batch:
    inputs, known = batching.take(batch.inputs, cut), batch.labelled
    return Batch(inputs, batch.targets[cut], batch.weight[cut], batch.index[cut], None if known is None else known[cut])


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _value(term: Term, step: Step) -> Tensor:
    """Weighted mean of a loss a sample; a batch statistic as it is; 0 where the loss is about no sample."""
    if not len(step.index):
        return step.student.logits.sum() * 0.0
    loss = term(step)
    return loss if loss.dim() == 0 else (loss * step.weight).sum() / step.weight.sum()
