"""Zen-score: how much the features of a network with Gaussian weights change where its input changes a little.

Source: Lin et al., Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition, ICCV 2021, arXiv 2102.01063,
with the sum of absolute differences of the authors' code. Shortcuts stay, where the authors remove them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from autokd import batching, declarations
from autokd.errors import ComponentError
from autokd.networks.models import as_output
from autokd.proxies.untrained import gaussian_, last_feature, untrained_student
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput

MIXED = 0.01
"""Size of the change, beside an input from N(0, 1)."""


@torch.no_grad()
def zen(network: nn.Module, inputs: Inputs, changed: Inputs) -> float:
    """Return log E‖f(x) - f(x')‖₁ + Σ log √(mean over channels of the variance), over batch normalisations.

    The variances are those on the inputs; a normalisation that gets zeros alone is left out.

    Args:
      network: f is its last feature map.
      inputs, changed: x and x', B samples each.
    """
    logs: list[Tensor] = []

    def keep(_module: nn.Module, given: Any) -> None:
        variance = given[0].movedim(1, 0).flatten(1).var(1, correction=0).mean()
        if variance != 0:
            logs.append(variance.log() / 2)

    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    handles = [norm.register_forward_pre_hook(keep) for norm in norms]
    first = last_feature(as_output(network(inputs)), "student")
    for handle in handles:
        handle.remove()
    second = last_feature(as_output(network(changed)), "student")
    change = (first - second).flatten(1).abs().sum(1).mean().log()
    return float(change + sum(logs))


@dataclass(frozen=True, kw_only=True)
class Zen:
    """Zen-score on Gaussian inputs of the shape of the screening batch, with weights from N(0, 1).

    Raises:
      ComponentError: the student offers no features, or its inputs are no floating-point values.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="log change")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    if not all(values.is_floating_point() for values in batching.tensors(screen.inputs)):
        raise ComponentError("zen draws inputs from N(0, 1); these inputs are no such numbers")
    generator = torch.Generator().manual_seed(screen.seed)
    inputs, noise = (
        batching.each(screen.inputs, lambda values: torch.randn(values.shape, generator=generator).to(values))
        for _ in range(2)
    )
    pairs = zip(batching.tensors(inputs), batching.tensors(noise), strict=True)
    changed = batching.like(inputs, [values + MIXED * change for values, change in pairs])
    return zen(gaussian_(untrained_student(screen), screen.seed), inputs, changed)
