"""The networks that a run trains: how each computes, is updated, kept and brought back. A run has them by name."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd.engine.ema import RunningAverage
from autokd.engine.qat import QuantisationAware
from autokd.networks.models import as_output
from autokd.types import Inputs, Output, Term

STUDENT = "student"
"""Name of the network that is scored and delivered."""
AVERAGE = "average"
"""Name of its running average in a checkpoint."""
RANGES = "ranges"
"""Name, in a checkpoint, of the ranges of the tensors that it quantises."""
PEER = "peer"
"""Name of the network that trains beside it, where there is one."""


class WeightedTerm(NamedTuple):
    """A loss term of a network.

    Args:
      term: the loss.
      weight: effective: the searched weight times the method's own scale.
      reads: name of the model whose answers it finds as `Step.teacher`; "" for none.
      reads_labels: it is about labelled samples only.
      begin, end: it counts while begin <= u < end, where u is the share of training done.
      members: names of the models whose answers it finds as `Step.members`.
    """

    term: Term
    weight: float
    reads: str = ""
    reads_labels: bool = False
    begin: float = 0.0
    end: float = 1.0
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all whose answers it reads; "" among them says nothing."""
        return (self.reads, *self.members)

    @property
    def reads_answers(self) -> bool:
        """Whether it reads anybody's."""
        return bool(self.reads or self.members)

    def counts_at(self, u: float) -> bool:
        """Whether the term is computed at u; one of weight 0 never is."""
        return self.weight != 0 and self.begin <= u < self.end

    def counts_between(self, u: float, until: float) -> bool:
        """Whether the term is computed somewhere in [u, until)."""
        return self.weight != 0 and self.begin < until and u < self.end


@dataclass
class TrainedNetwork:
    """A network, its losses, and what updates it.

    Args:
      network: the network.
      terms: its losses by instance name; their weighted sum is minimised.
      term_modules: those of them that are modules; their parameters train too.
      optimizer: of the parameters of both.
      peak_rates: of each parameter group; the schedule multiplies them.
      scaler: of the loss, where the network computes in float16.
      dtype: the type that the network computes in.
      max_norm: the gradient is scaled down to this norm where it is longer; None: it is not.
      average: the running average that is scored and delivered in the network's place; None: the network itself is.
      quantised: lets the network compute quantised in a part of training; None: it never does.
    """

    network: nn.Module
    terms: dict[str, WeightedTerm]
    term_modules: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    peak_rates: tuple[float, ...]
    scaler: torch.amp.GradScaler
    dtype: torch.dtype
    max_norm: float | None = None
    average: RunningAverage | None = None
    quantised: QuantisationAware | None = None

    @property
    def scored(self) -> nn.Module:
        """The network that is scored: the average where there is one."""
        return self.network if self.average is None else self.average.network

    def answer(self, inputs: Inputs, device: torch.device, u: float) -> Output:
        """Return the network's output on a batch at u, as float32, in the precision that it trains in."""
        if self.quantised is not None and self.quantised.counts_at(u):
            return self.quantised.answer(self.network, inputs)
        half = self.dtype != torch.float32
        with torch.autocast(device.type, self.dtype) if half else contextlib.nullcontext():
            output = as_output(self.network(inputs))
        return output.map(_float) if half else output

    def terms_at(self, u: float) -> dict[str, WeightedTerm]:
        """Return the terms that count at u, the share of training done."""
        if self._all_count:
            return self.terms
        return {name: weighted for name, weighted in self.terms.items() if weighted.counts_at(u)}

    @functools.cached_property
    def _all_count(self) -> bool:
        """Whether every term counts all the time."""
        return all(term.weight != 0 and term.begin <= 0 and term.end >= 1 for term in self.terms.values())

    def set_rate(self, factor: float) -> None:
        """Set every group's learning rate to that share of its peak."""
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates, strict=True):
            group["lr"] = peak * factor

    def update(self, samples: int) -> None:
        """Take the optimizer's step along the gradients of so many samples, scaled down where they are too long."""
        if self.max_norm is not None:
            self.scaler.unscale_(self.optimizer)
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(samples)

    def buffers(self) -> Iterator[Tensor]:
        """Yield what a forward pass changes: batch-norm statistics, and other buffers of the network and its losses."""
        yield from self.network.buffers()
        yield from self.term_modules.buffers()
        yield from () if self.quantised is None else self.quantised.ranges

    def state(self, name: str) -> dict[str, Any]:
        """Return all that training changes, as named parts; the network's is called `name` and is not copied."""
        averaged = {} if self.average is None else {AVERAGE: self.average.state()}
        quantised = {} if self.quantised is None else {RANGES: self.quantised.state()}
        return (
            averaged
            | quantised
            | {
                name: self.network.state_dict(),
                "losses": self.term_modules.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
        )

    def load(self, state: dict[str, Any], name: str) -> None:
        """Bring back what `state` returned."""
        self.network.load_state_dict(state[name])
        self.term_modules.load_state_dict(state["losses"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load(state[AVERAGE])
        if self.quantised is not None:
            self.quantised.load(state[RANGES])


def _float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
