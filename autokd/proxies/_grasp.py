"""GraSP: how much removing weights would change the flow of gradients.

Source: Wang et al., Picking Winning Tickets Before Training by Preserving Gradient Flow, ICLR 2020, arXiv 2002.07376,
summed over all weights as in Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021, arXiv 2101.08134,
whose sign this is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autokd import declarations
from autokd.proxies.gradients import gradients, loss_of, weights_of
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


def grasp(loss: Tensor, weights: list[nn.Parameter]) -> float:
    """Return -θᵀ H g: gradient g and Hessian H of a loss for the weights θ.

    Args:
      loss: a scalar, computed from the weights.
      weights: θ.
    """
    slopes = gradients(loss, weights, again=True)
    product = torch.stack([(slope * slope.detach()).sum() for slope in slopes]).sum()
    curved = gradients(product, weights)
    return -sum(float((weight.detach() * change).sum()) for weight, change in zip(weights, curved, strict=True))


@dataclass(frozen=True, kw_only=True)
class GraSP:
    """Effect of all weights together on the gradient's norm, of the cross-entropy on the screening batch."""

    declares = declarations.Proxy(higher_is_better=True, unit="squared norm")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    network = untrained_student(screen)
    return grasp(loss_of(network, screen.inputs, screen.labels), weights_of(network))
