"""Parameters on a live path from the input to the answer: `params` without what the answer does not depend on.

In spaces whose cells have dead ends, such as NAS-Bench-201, a fifth of all parameters may be such. Found by a gradient,
so it holds for every student.
"""

from __future__ import annotations

from dataclasses import dataclass

from autokd import batching, declarations
from autokd.proxies.gradients import gradients, loss_of, weights_of
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput

SAMPLES = 8
"""Samples that the gradient is taken on: enough that no layer gets none by chance."""


@dataclass(frozen=True, kw_only=True)
class PathParams:
    """Ranks students by the weights of those layers that some sample's loss has a gradient for."""

    declares = declarations.Proxy(higher_is_better=True, unit="parameters")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    network = untrained_student(screen)
    few = batching.take(screen.inputs, slice(SAMPLES))
    found = gradients(loss_of(network, few, screen.labels[:SAMPLES]), weights_of(network))
    return float(sum(gradient.numel() for gradient in found if gradient.any()))
