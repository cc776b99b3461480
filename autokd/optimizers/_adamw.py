"""Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, arXiv 1711.05101)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch.optim import AdamW as TorchAdamW
from torch.optim import Optimizer

from autokd import declarations
from autokd.optimizers.groups import MakeOptimizer, Parameters, decay_groups
from autokd.ranges import Real
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """AdamW; biases and normalisation parameters do not decay."""

    declares = declarations.Optimizer()

    learning_rate: Annotated[float, Real(1e-4, 2e-2, log=True)] = 2e-3  # peak; the schedule scales it
    weight_decay: Annotated[float, Real(1e-4, 0.5, log=True)] = 1e-2  # decoupled: times the learning rate
    beta1: float = 0.9  # decay of the mean of gradients
    beta2: float = 0.999  # decay of the mean of squared gradients

    def build(self, context: BuildContext) -> MakeOptimizer:
        """Return a function from parameters, or parameter groups, to the optimizer at the peak learning rate."""

        def make(parameters: Parameters) -> Optimizer:
            return TorchAdamW(
                decay_groups(parameters),
                foreach=True,  # not fused: see groups
                lr=self.learning_rate,
                betas=(self.beta1, self.beta2),
                weight_decay=self.weight_decay,
            )

        return make
