"""ZiCo: gradients that are large and agree between batches.

Source: Li et al., ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients, ICLR 2023, arXiv 2301.11300.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd import batching, declarations
from autokd.errors import ComponentError
from autokd.proxies.gradients import weight_gradients
from autokd.proxies.untrained import untrained_student
from autokd.ranges import Integer
from autokd.types import BuildContext, Proxy, ScreenInput


def zico(layers: Sequence[Tensor]) -> float:
    """Return Σ over layers of log Σ over weights of E|g| / std g; what does not vary, weight or layer, is left out.

    Args:
      layers: [batches, …] of each layer, the gradients for its weights on several batches.
    """
    return sum(_log_of_layer(layer.flatten(1)) for layer in layers)


def _log_of_layer(gradients: Tensor) -> float:
    spread, size = gradients.std(0, correction=0), gradients.abs().mean(0)
    varies = spread != 0  # and what is not a number
    return float((size[varies] / spread[varies]).sum().log()) if varies.any() else 0.0


@dataclass(frozen=True, kw_only=True)
class ZiCo:
    """Inverse coefficient of variation of the gradients, between equal parts of the screening batch.

    Raises:
      ComponentError: the batch has fewer samples than two a part.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="log ratio")

    parts: Annotated[int, Integer(2, 8, unit="parts")] = 2  # batches that the screening batch is split into

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return self._score

    def _score(self, screen: ScreenInput) -> float:
        size = len(screen.labels) // self.parts
        if size < 2:
            raise ComponentError(
                f"zico needs two samples a part; {self.parts} parts of {len(screen.labels)} have fewer"
            )
        network = untrained_student(screen)
        rows = [slice(i * size, (i + 1) * size) for i in range(self.parts)]
        found = [weight_gradients(network, batching.take(screen.inputs, part), screen.labels[part]) for part in rows]
        return zico([torch.stack([each.gradient for each in layer]) for layer in zip(*found, strict=True)])
