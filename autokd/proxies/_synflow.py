"""SynFlow: how much flows through a network whose weights are all positive.

Source: Tanaka et al., Pruning Neural Networks without any Data by Iteratively Conserving Synaptic Flow, NeurIPS 2020,
arXiv 2006.05467, summed over all weights as in Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021,
arXiv 2101.08134.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from autokd import batching, declarations
from autokd.networks.models import as_output
from autokd.proxies.gradients import gradients, weights_of
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def log_synflow(network: nn.Module, inputs: Inputs) -> float:
    """Return log Σ |θ dR/dθ| over the weights θ, R the sum of the logits; -inf where nothing flows.

    The network is changed: in float64, with absolute parameters, and with normalisation that passes its input on.

    Args:
      network: to be thrown away afterwards.
      inputs: one sample; its floating-point values are replaced by ones.
    """
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    for module in network.modules():
        if isinstance(module, NORMS):
            module.eval()
            module.register_forward_hook(_pass_on)
    ones = batching.each(
        inputs, lambda values: torch.ones_like(values).double() if values.is_floating_point() else values
    )
    weights = weights_of(network)
    flow = gradients(as_output(network(ones)).logits.sum(), weights)
    total = sum(float((weight.detach() * slope).abs().sum()) for weight, slope in zip(weights, flow, strict=True))
    return math.log(total) if total > 0 else (-math.inf if total == 0 else total)


def _pass_on(_module: nn.Module, given: Any, _output: Tensor) -> Tensor:
    passed: Tensor = given[0]
    return passed


@dataclass(frozen=True, kw_only=True)
class SynFlow:
    """Logarithm of the synaptic flow; reads no data. Capped activations such as ReLU6 stop it."""

    declares = declarations.Proxy(higher_is_better=True, unit="log flow")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return log_synflow(untrained_student(screen), batching.take(screen.inputs, slice(1)))
