"""One optimisation step, as a function of the run and the batch."""

from __future__ import annotations

import contextlib
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.engine.profile import Profile
from autokd.networks.models import as_output
from autokd.types import Augment, Batch, Output, Step, Term

NORM_SAMPLES = 32
"""Samples of a batch on which gradient norms are taken: enough to compare terms by, and cheap."""


class WeightedTerm(NamedTuple):
    """A loss term and what the engine does with it.

    Args:
      term: the loss.
      weight: searched weight times the method's own scale.
      begin, end: it counts while begin <= u < end, where u is the share of training done.
      reads_teacher: it reads the teacher's output.
    """

    term: Term
    weight: float
    begin: float = 0.0
    end: float = 1.0
    reads_teacher: bool = False

    def counts_at(self, u: float) -> bool:
        """Whether the term is computed at u; one of weight 0 never is."""
        return self.weight != 0 and self.begin <= u < self.end


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
    teacher_mode: str
    dtype: torch.dtype
    max_norm: float | None = None
    micro_batches: int = 1

    def terms_at(self, u: float) -> dict[str, WeightedTerm]:
        """Return the terms that count at u, the share of training done."""
        return {name: weighted for name, weighted in self.terms.items() if weighted.counts_at(u)}

    def asks_teacher(self, u: float, until: float | None = None) -> bool:
        """Return whether a term that counts at u, or somewhere in [u, until), reads the teacher."""
        reading = (weighted for weighted in self.terms.values() if weighted.reads_teacher and weighted.weight)
        if until is None:
            return any(weighted.counts_at(u) for weighted in reading)
        return any(weighted.begin < until and u < weighted.end for weighted in reading)


def train_step(run: LiveRun, batch: Batch, teacher: Output | None, u: float, profile: Profile) -> Tensor:
    """Take one step; a batch that does not fit into memory is cut into parts whose gradients add up.

    Args:
      run: the training run; its `micro_batches` grows where memory runs out.
      batch, teacher: the batch and the teacher's outputs on it.
      u: share of training done.
    Returns:
      [terms + 1], the raw loss terms (0 for those that do not count at u) and the weighted total, detached, on the
      device.

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

    Terms that do not count at u have none.

    Buffers, such as batch-norm statistics, are not moved: neither the student's nor the losses'.
    """
    few = slice(0, min(NORM_SAMPLES, math.ceil(len(batch.index) / run.micro_batches)))
    batch, teacher = _cut(batch, few), None if teacher is None else teacher.map(operator.itemgetter(few))
    buffers = [*run.student.buffers(), *run.term_modules.buffers()]
    before = [buffer.clone() for buffer in buffers]
    parameters = [parameter for parameter in run.student.parameters() if parameter.requires_grad]
    raw, _ = _losses(run, batch, teacher, u)
    norms = {name: _gradient_norm(value * run.terms[name].weight, parameters) for name, value in raw.items()}
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
    for part, answer, share in _parts(batch, teacher, run.micro_batches):
        with profile.part("forward"):
            raw, total = _losses(run, part, answer, u)
        with profile.part("backward"):
            torch.autograd.backward(run.scaler.scale(total if share is None else total * share))
        found = torch.stack([*_in_order(run, raw, total), total]).detach()
        found = found if share is None else found * share
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


def _in_order(run: LiveRun, raw: dict[str, Tensor], total: Tensor) -> list[Tensor]:
    """The values of all terms, 0 for those that were not computed."""
    return (
        list(raw.values())
        if len(raw) == len(run.terms)
        else [raw.get(name, torch.zeros_like(total)) for name in run.terms]
    )


def _losses(run: LiveRun, batch: Batch, teacher: Output | None, u: float) -> tuple[dict[str, Tensor], Tensor]:
    """The raw terms that count at u, by name, and their weighted sum."""
    device = batch.index.device.type
    half = run.dtype != torch.float32
    with torch.autocast(device, run.dtype) if half else contextlib.nullcontext():
        student = as_output(run.student(batch.inputs))
    step = Step(student.map(_float) if half else student, teacher, batch.targets, batch.weight, batch.index, u)
    raw = {name: _mean(weighted.term(step), batch.weight) for name, weighted in run.terms_at(u).items()}
    weighted = [value * run.terms[name].weight for name, value in raw.items()]
    return raw, functools.reduce(operator.add, weighted)


def _parts(batch: Batch, teacher: Output | None, count: int) -> list[tuple[Batch, Output | None, Tensor | None]]:
    """Cut a batch into near-equal parts, each with its share of the weight; None stands for all of it."""
    if count == 1:
        return [(batch, teacher, None)]
    total = batch.weight.sum()
    pieces = torch.arange(len(batch.index)).tensor_split(count)
    cuts = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces if len(piece)]
    return [
        (
            _cut(batch, cut),
            None if teacher is None else teacher.map(operator.itemgetter(cut)),
            batch.weight[cut].sum() / total,
        )
        for cut in cuts
    ]


def _cut(batch: Batch, cut: slice) -> Batch:
    inputs = batching.take(batch.inputs, cut)
    return Batch(inputs, batch.targets[cut], batch.weight[cut], batch.index[cut])


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of a loss a sample; a batch statistic is taken as it is."""
    return loss if loss.dim() == 0 else (loss * weight).sum() / weight.sum()
