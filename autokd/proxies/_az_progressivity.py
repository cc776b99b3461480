"""Progressivity of AZ-NAS: whether deeper blocks of an untrained network use more directions.

Source: Lee and Ham, CVPR 2024, arXiv 2403.19232; see `autokd.proxies.blocks` and `az_expressivity`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autokd import declarations
from autokd.proxies.blocks import block_outputs, spectral_entropy
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class AZProgressivity:
    """Smallest rise of the entropy of `az_expressivity` from one block to the next.

    Raises:
      ComponentError: the student shows fewer than two blocks.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="nats")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


@torch.no_grad()
def _score(screen: ScreenInput) -> float:
    entropies = torch.tensor(list(map(spectral_entropy, block_outputs(untrained_student(screen), screen.inputs))))
    return float(entropies.diff().min())
