"""Norm of the gradient of an untrained network.

Source: Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021, arXiv 2101.08134.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autokd import declarations
from autokd.proxies.gradients import Weighted, weight_gradients
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


def grad_norm(layers: Sequence[Weighted]) -> float:
    """Return the sum over layers of the Euclidean norm of the loss's gradient for the weights."""
    return sum(float(layer.gradient.norm()) for layer in layers)


@dataclass(frozen=True, kw_only=True)
class GradNorm:
    """Sum of the layers' gradient norms, of the cross-entropy on the screening batch."""

    declares = declarations.Proxy(higher_is_better=True, unit="norm")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return grad_norm(weight_gradients(untrained_student(screen), screen.inputs, screen.labels))
