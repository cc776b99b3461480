"""Trainability of AZ-NAS: whether the blocks of an untrained network keep the size of gradients.

Source: Lee and Ham, CVPR 2024, arXiv 2403.19232; see `autokd.proxies.blocks` and `az_expressivity`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import fmean

import torch

from autokd import declarations
from autokd.proxies.blocks import block_outputs, trainability
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class AZTrainability:
    """Mean over blocks of 2 - s - 1/s, s the estimated spectral norm of the block's Jacobian; -inf of an idle block.

    Raises:
      ComponentError: the student shows fewer than two blocks.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="distance from norm 1, negative")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    maps = block_outputs(untrained_student(screen), screen.inputs)
    generator = torch.Generator().manual_seed(screen.seed)
    return fmean(trainability(before, after, generator) for before, after in itertools.pairwise(maps))
