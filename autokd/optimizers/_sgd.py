"""Stochastic gradient descent with momentum (Sutskever et al., ICML 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch.optim import SGD as TorchSGD
from torch.optim import Optimizer

from autokd import declarations
from autokd.optimizers.groups import MakeOptimizer, Parameters, decay_groups
from autokd.ranges import Choice, Real
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Momentum SGD; biases and normalisation parameters do not decay."""

    declares = declarations.Optimizer()

    learning_rate: Annotated[float, Real(0.01, 0.5, log=True)] = 0.05  # peak; the schedule scales it
    weight_decay: Annotated[float, Real(1e-5, 1e-2, log=True)] = 5e-4  # L2 penalty added to the gradient
    momentum: Annotated[float, Real(0.8, 0.98)] = 0.9  # share of the last update kept
    nesterov: Annotated[bool, Choice(True, False)] = True  # look ahead along the momentum

    def build(self, context: BuildContext) -> MakeOptimizer:
        """Return a function from parameters, or parameter groups, to the optimizer at the peak learning rate."""

        def make(parameters: Parameters) -> Optimizer:
            return TorchSGD(
                decay_groups(parameters),
                foreach=True,  # not fused: see groups
                lr=self.learning_rate,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                nesterov=self.nesterov,
            )

        return make
