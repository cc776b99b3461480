"""What stands in written code as it stands here."""

from __future__ import annotations

import copy

import torch
from torch import nn


class RunningAverage:
    """The average of a network's weights over about the last `share` of the samples (Karras et al., 2312.02696)."""

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.seen, self.power = 0, 2 / share - 1

    @torch.no_grad()
    def update(self, network: nn.Module, samples: int) -> None:
        """Take in the network's weights after a step on so many samples."""
        self.seen += samples
        weight = 1 - (1 - samples / self.seen) ** self.power
        here, there = ([*module.parameters(), *module.buffers()] for module in (self.network, network))
        for own, now in zip(here, there, strict=True):
            own.copy_(torch.lerp(own, now, weight) if own.is_floating_point() else now)
