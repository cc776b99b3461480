"""SNIP: how much the loss reacts to removing single weights.

Source: Lee et al., SNIP: Single-shot Network Pruning based on Connection Sensitivity, ICLR 2019, arXiv 1810.02340,
summed over all weights as in Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021, arXiv 2101.08134.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autokd import declarations
from autokd.proxies.gradients import Weighted, weight_gradients
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


def snip(layers: Sequence[Weighted]) -> float:
    """Return the sum over all weights of |weight times gradient|."""
    return sum(float((layer.weight.detach() * layer.gradient).abs().sum()) for layer in layers)


@dataclass(frozen=True, kw_only=True)
class SNIP:
    """Connection sensitivity of all weights together, of the cross-entropy on the screening batch."""

    declares = declarations.Proxy(higher_is_better=True, unit="nats")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return snip(weight_gradients(untrained_student(screen), screen.inputs, screen.labels))
