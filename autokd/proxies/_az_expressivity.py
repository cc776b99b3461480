"""Expressivity of AZ-NAS: how many directions the channels of an untrained network use.

Source: Lee and Ham, CVPR 2024, arXiv 2403.19232; see `autokd.proxies.blocks`. AZ-NAS itself ranks by the sum of
the logarithms of ranks, of this, `az_progressivity`, `az_trainability` and `macs`: it needs a population.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from autokd import declarations
from autokd.proxies.blocks import block_outputs, spectral_entropy
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class AZExpressivity:
    """Sum over blocks of the entropy of the eigenvalues of the channels' covariance.

    Raises:
      ComponentError: the student shows fewer than two blocks.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="nats")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


@torch.no_grad()
def _score(screen: ScreenInput) -> float:
    return sum(map(spectral_entropy, block_outputs(untrained_student(screen), screen.inputs)))
