"""One optimisation step, as a function of the run and the batch."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.engine.answers import Source
from autokd.engine.epoch import Passes
from autokd.engine.profile import Profile
from autokd.engine.trained import STUDENT, TrainedNetwork, WeightedTerm
from autokd.engine.unlabelled import Pool
from autokd.types import Augment, Batch, Output, Selection, Step, Term

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
      selection, passes: which samples it goes over, and how its passes over them lie in its epochs.
      pool: the samples without labels that it goes over, too; None: it has none.
      sources: where the answers of models that do not train come from, by name.
      micro_batches: parts that a batch is cut into, so that it fits into memory.
      notes: what is to be said of how it begins.
    """

    networks: dict[str, TrainedNetwork]
    schedule: Callable[[float], float]
    augment: Augment
    selection: Selection
    passes: Passes
    pool: Pool | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    micro_batches: int = 1
    notes: tuple[str, ...] = ()

    @property
    def student(self) -> TrainedNetwork:
        """The network that is scored and delivered."""
        return self.networks[STUDENT]

    def networks_at(self, u: float) -> dict[str, TrainedNetwork]:
        """Return the networks that train at u: the student, and a peer whose answers it reads then or later."""
        if len(self.networks) == 1:
            return self.networks
        read = _read([weighted for weighted in self.student.terms.values() if weighted.counts_between(u, 1.0)])
        rest = {name: trained for name, trained in self.networks.items() if name in read and trained.terms_at(u)}
        return {STUDENT: self.student, **rest}

    def terms_at(self, u: float) -> list[tuple[str, str]]:
        """Return the names of network and term for each term that counts at u."""
        return [(name, term) for name, trained in self.networks_at(u).items() for term in trained.terms_at(u)]

    def sources_between(self, u: float, until: float) -> dict[str, Source]:
        """Return the sources that some term reads which counts somewhere in [u, until), shares of training done."""
        terms = [weighted for trained in self.networks.values() for weighted in trained.terms.values()]
        read = _read([weighted for weighted in terms if weighted.counts_between(u, until)])
        return {name: source for name, source in self.sources.items() if name in read}

    def reads_at(self, u: float) -> set[str]:
        """Return the names of the models whose answers are read at u."""
        return _read(weighted for trained in self.networks.values() for weighted in trained.terms_at(u).values())


def _read(terms: Iterable[WeightedTerm]) -> set[str]:
    return {name for weighted in terms for name in weighted.names}


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
            if run.micro_batches >= batch.index.shape[0]:
                raise
        run.micro_batches *= 2  # out here the error no longer holds on to the step's tensors
        if batch.index.is_cuda:
            torch.cuda.empty_cache()


def gradient_norms(run: LiveRun, batch: Batch, answered: Answered, u: float) -> dict[str, float]:
    """Return the norm of each weighted term's gradient with respect to the student's parameters, on a part of a batch.

    Terms that do not count at u have none.

    Buffers, such as batch-norm statistics, are not moved: neither the networks' nor the losses'.
    """
    few = slice(0, min(NORM_SAMPLES, math.ceil(batch.index.shape[0] / run.micro_batches)))
    buffers = [buffer for trained in run.networks.values() for buffer in trained.buffers()]
    before = [buffer.clone() for buffer in buffers]
    parameters = [parameter for parameter in run.student.network.parameters() if parameter.requires_grad]
    part = Part(_cut(batch, few), _cut_answers(answered, few))
    terms, (raw, _) = run.student.terms, _losses(run, part, u)[STUDENT]
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
    for part in _parts(batch, answered, run.micro_batches):
        with profile.part("forward"):
            losses = _losses(run, part, u)
        with profile.part("backward"):
            for name, (_, total) in losses.items():
                torch.autograd.backward(run.networks[name].scaler.scale(total))
        each = [_in_order(trained, losses.get(name), batch) for name, trained in run.networks.items()]
        found = torch.cat(each) if len(each) > 1 else each[0]
        values = found if values is None else values + found
    with profile.part("optimizer"):
        for trained in training.values():
            trained.update(batch.index.shape[0])
    assert values is not None
    return values


def _in_order(trained: TrainedNetwork, losses: tuple[Mapping[str, Tensor], Tensor] | None, batch: Batch) -> Tensor:
    """The values of a network's terms and their total, detached; 0 for what was not computed."""
    if losses is None:
        return batch.weight.new_zeros(len(trained.terms) + 1)
    raw, total = losses
    values = [raw[name] if name in raw else torch.zeros_like(total) for name in trained.terms]
    return torch.stack([*values, total]).detach()


class Part(NamedTuple):
    """A part of a batch, or all of it.

    Args:
      batch, answered: its samples, and the outputs on them.
      share: of the batch's weight; None: it is all of it.
      labelled_share: of the weight of its labelled samples.
    """

    batch: Batch
    answered: Answered
    share: Tensor | None = None
    labelled_share: Tensor | None = None


def _losses(run: LiveRun, part: Part, u: float) -> dict[str, tuple[dict[str, Tensor], Tensor]]:
    """The terms of each network that trains at u, raw but for the part's share, and their weighted total.

    Each network sees the others' outputs as constants.
    """
    device, training = part.batch.index.device, run.networks_at(u)
    outputs = {name: trained.answer(part.batch.inputs, device, u) for name, trained in training.items()}
    if len(outputs) > 1:
        others = {name: output.map(Tensor.detach) for name, output in outputs.items()}
        part = part._replace(answered={**part.answered, **others})
    return {name: _network_losses(trained, outputs[name], part, u) for name, trained in training.items()}


def _network_losses(trained: TrainedNetwork, output: Output, part: Part, u: float) -> tuple[dict[str, Tensor], Tensor]:
    raw = {}
    for name, weighted in trained.terms_at(u).items():
        value = _value(weighted.term, _step_of(weighted, output, part, u))
        share = part.labelled_share if weighted.reads_labels else part.share
        raw[name] = value if share is None else value * share
    return raw, functools.reduce(operator.add, [value * trained.terms[name].weight for name, value in raw.items()])


def _step_of(weighted: WeightedTerm, output: Output, part: Part, u: float) -> Step:
    """What a term sees: where it reads labels, labelled samples alone; where it reads answers, the logits for them."""
    if output.taught is not None:
        output = output._replace(logits=output.taught if weighted.reads_answers else output.logits, taught=None)
    batch, device = part.batch, part.batch.index.device
    read = part.answered[weighted.reads] if weighted.reads else None
    members = tuple(part.answered[name] for name in weighted.members)
    if batch.labelled is None:
        return Step(output, read, batch.targets, batch.weight, batch.index, u, members=members)
    if not weighted.reads_labels:
        labelled = batch.labelled.to(device, non_blocking=True)
        return Step(output, read, batch.targets, batch.weight, batch.index, u, labelled, members)
    rows = batch.labelled.nonzero().squeeze(1).to(device, non_blocking=True)
    own, *members_own = (each.map(operator.itemgetter(rows)) for each in (output, *members))
    read = None if read is None else read.map(operator.itemgetter(rows))
    known = torch.ones_like(rows, dtype=torch.bool)
    return Step(own, read, batch.targets[rows], batch.weight[rows], batch.index[rows], u, known, tuple(members_own))


def _value(term: Term, step: Step) -> Tensor:
    """Weighted mean of a loss a sample; a batch statistic as it is; 0 where the loss is about no sample."""
    if not step.index.shape[0]:
        return step.student.logits.sum() * 0.0
    loss = term(step)
    return loss if loss.dim() == 0 else (loss * step.weight).sum() / step.weight.sum()


def _parts(batch: Batch, answered: Answered, count: int) -> list[Part]:
    """Cut a batch into near-equal parts."""
    if count == 1:
        return [Part(batch, answered)]
    pieces = torch.arange(batch.index.shape[0]).tensor_split(count)
    cuts = [slice(int(piece[0]), int(piece[-1]) + 1) for piece in pieces if len(piece)]
    known = torch.ones(batch.index.shape[0]) if batch.labelled is None else batch.labelled
    shares, labelled = (
        [weight[cut].sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny) for cut in cuts]
        for weight in (batch.weight, batch.weight * known.to(batch.weight))
    )
    parts = zip(cuts, shares, labelled, strict=True)
    return [Part(_cut(batch, cut), _cut_answers(answered, cut), *share) for cut, *share in parts]


def _cut(batch: Batch, cut: slice) -> Batch:
    inputs, known = batching.take(batch.inputs, cut), batch.labelled
    return Batch(inputs, batch.targets[cut], batch.weight[cut], batch.index[cut], None if known is None else known[cut])


def _cut_answers(answered: Answered, cut: slice) -> dict[str, Output]:
    return {name: output.map(operator.itemgetter(cut)) for name, output in answered.items()}
