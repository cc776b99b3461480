"""One optimisation step, as a function of the run and the batch."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.engine.answers import Source
from autokd.engine.profile import Profile
from autokd.engine.trained import STUDENT, TrainedNetwork
from autokd.types import Augment, Batch, Output, Step

NORM_SAMPLES = 32
"""Samples of a batch on which gradient norms are taken: enough to compare terms by, and cheap."""
Answered = Mapping[str, Output]
"""Outputs on a batch of models that do not train, by name."""


@dataclass
class LiveRun:
    """The live objects of one training run.

    Args:
      networks: those that train, by name.
      schedule: the share of the peak learning rate at each share of training done, the same for all networks.
      augment: the policy.
      sources: where the answers of models that do not train come from, by name.
      micro_batches: parts that a batch is cut into, so that it fits into memory.
    """

    networks: dict[str, TrainedNetwork]
    schedule: Callable[[float], float]
    augment: Augment
    sources: Mapping[str, Source] = field(default_factory=dict)
    micro_batches: int = 1

    @property
    def student(self) -> TrainedNetwork:
        """The network that is scored and delivered."""
        return self.networks[STUDENT]

    def networks_at(self, u: float) -> dict[str, TrainedNetwork]:
        """Return the networks that train at u: the student, and a peer whose answers it reads then or later."""
        read = {weighted.reads for weighted in self.student.terms.values() if weighted.counts_between(u, 1.0)}
        rest = {name: trained for name, trained in self.networks.items() if name in read and trained.terms_at(u)}
        return {STUDENT: self.student, **rest}

    def terms_at(self, u: float) -> list[tuple[str, str]]:
        """Return the names of network and term for each term that counts at u."""
        return [(name, term) for name, trained in self.networks_at(u).items() for term in trained.terms_at(u)]

    def sources_between(self, u: float, until: float) -> dict[str, Source]:
        """Return the sources that some term reads which counts somewhere in [u, until), shares of training done."""
        terms = [weighted for trained in self.networks.values() for weighted in trained.terms.values()]
        read = {weighted.reads for weighted in terms if weighted.counts_between(u, until)}
        return {name: source for name, source in self.sources.items() if name in read}

    def reads_at(self, u: float) -> set[str]:
        """Return the names of the models whose answers are read at u."""
        return {weighted.reads for trained in self.networks.values() for weighted in trained.terms_at(u).values()}


def train_step(run: LiveRun, batch: Batch, answered: Answered, u: float, profile: Profile) -> Tensor:
    """Take one step; a batch that does not fit into memory is cut into parts whose gradients add up.

    Args:
      run: the training run; its `micro_batches` grows where memory runs out.
      batch, answered: the batch, and the outputs on it that its losses read.
      u: share of training done.
    Returns:
      Of each network in turn [terms + 1], its raw loss terms (0 for one that does not count at u) and their weighted
      total; detached, on the device.

    Raises:
      torch.OutOfMemoryError: not even single samples fit.
    """
    factor = run.schedule(u)
    for trained in run.networks.values():
        trained.set_rate(factor)
    while True:
        try:
            return _step(run, batch, answered, u, profile)
        except torch.OutOfMemoryError:
            if run.micro_batches >= len(batch.index):
                raise
        run.micro_batches *= 2  # out here the error no longer holds on to the step's tensors
        if batch.index.is_cuda:
            torch.cuda.empty_cache()


def gradient_norms(run: LiveRun, batch: Batch, answered: Answered, u: float) -> dict[str, float]:
    """Return the norm of each weighted term's gradient with respect to the student's parameters, on a part of a batch.

    Terms that do not count at u have none.

    Buffers, such as batch-norm statistics, are not moved: neither the networks' nor the losses'.
    """
    few = slice(0, min(NORM_SAMPLES, math.ceil(len(batch.index) / run.micro_batches)))
    buffers = [buffer for trained in run.networks.values() for buffer in trained.buffers()]
    before = [buffer.clone() for buffer in buffers]
    parameters = [parameter for parameter in run.student.network.parameters() if parameter.requires_grad]
    terms, (raw, _) = run.student.terms, _losses(run, _cut(batch, few), _cut_answers(answered, few), u)[STUDENT]
    norms = {name: _gradient_norm(value * terms[name].weight, parameters) for name, value in raw.items()}
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


def _step(run: LiveRun, batch: Batch, answered: Answered, u: float, profile: Profile) -> Tensor:
    training = run.networks_at(u)
    for trained in training.values():
        trained.optimizer.zero_grad(set_to_none=True)
    values: Tensor | None = None
    for part, answers, share in _parts(batch, answered, run.micro_batches):
        with profile.part("forward"):
            losses = _losses(run, part, answers, u)
        with profile.part("backward"):
            for name, (_, total) in losses.items():
                scaler = run.networks[name].scaler
                torch.autograd.backward(scaler.scale(total if share is None else total * share))
        found = torch.cat([_in_order(trained, losses.get(name), batch) for name, trained in run.networks.items()])
        found = found if share is None else found * share
        values = found if values is None else values + found
    with profile.part("optimizer"):
        for trained in training.values():
            trained.update(len(batch.index))
    assert values is not None
    return values


def _in_order(trained: TrainedNetwork, losses: tuple[Mapping[str, Tensor], Tensor] | None, batch: Batch) -> Tensor:
    """The values of a network's terms and their total, detached; 0 for what was not computed."""
    zero = batch.weight.new_zeros(())
    raw, total = losses or ({}, zero)
    return torch.stack([*(raw.get(name, zero) for name in trained.terms), total]).detach()


def _losses(run: LiveRun, batch: Batch, answered: Answered, u: float) -> dict[str, tuple[dict[str, Tensor], Tensor]]:
    """The raw terms of each network that trains at u, and their total; each sees the others' outputs as constants."""
    device, training = batch.index.device, run.networks_at(u)
    outputs = {name: trained.answer(batch.inputs, device) for name, trained in training.items()}
    there = {**answered, **{name: output.map(Tensor.detach) for name, output in outputs.items() if len(outputs) > 1}}
    return {name: _network_losses(trained, outputs[name], batch, there, u) for name, trained in training.items()}


def _network_losses(
    trained: TrainedNetwork, output: Output, batch: Batch, there: Answered, u: float
) -> tuple[dict[str, Tensor], Tensor]:
    raw = {}
    for name, weighted in trained.terms_at(u).items():
        read = there[weighted.reads] if weighted.reads else None
        step = Step(output, read, batch.targets, batch.weight, batch.index, u)
        raw[name] = _mean(weighted.term(step), batch.weight)
    return raw, functools.reduce(operator.add, [value * trained.terms[name].weight for name, value in raw.items()])


def _parts(batch: Batch, answered: Answered, count: int) -> list[tuple[Batch, Answered, Tensor | None]]:
    """Cut a batch into near-equal parts, each with its share of the weight; None stands for all of it."""
    if count == 1:
        return [(batch, answered, None)]
    total = batch.weight.sum()
    pieces = torch.arange(len(batch.index)).tensor_split(count)
    cuts = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces if len(piece)]
    return [(_cut(batch, cut), _cut_answers(answered, cut), batch.weight[cut].sum() / total) for cut in cuts]


def _cut(batch: Batch, cut: slice) -> Batch:
    inputs = batching.take(batch.inputs, cut)
    return Batch(inputs, batch.targets[cut], batch.weight[cut], batch.index[cut])


def _cut_answers(answered: Answered, cut: slice) -> dict[str, Output]:
    return {name: output.map(operator.itemgetter(cut)) for name, output in answered.items()}


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of a loss a sample; a batch statistic is taken as it is."""
    return loss if loss.dim() == 0 else (loss * weight).sum() / weight.sum()
