"""The average of a network's weights over the last share of the samples that it has seen."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class RunningAverage:
    """A running average of a network, its floating-point buffers (batch-norm statistics) included.

    The weights after m of n samples count in proportion to m^(2 / share - 2): whatever n is, they have the mean age of
    a flat average over the last `share` of the samples, and with a share of 1 they are that average. This is the power
    function average of Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (CVPR 2024,
    arXiv 2312.02696), section 3.1. It depends on samples seen and not on steps, begins with the first weights and so
    needs no correction, and no length of training: a run that is stopped at any point has the average of its own last
    share.

    Args:
      network: is averaged; on its device.
      share: in (0, 1].
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.seen = 0
        self._power = 2 / share - 1
        pairs = _paired(self.network, network)
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, samples: int) -> None:
        """Take in the network's present weights, after a step on so many samples; integer buffers are copied."""
        self.seen += samples
        weight = 1 - (1 - samples / self.seen) ** self._power
        torch._foreach_lerp_([own for own, _ in self._floats], [now for _, now in self._floats], weight)
        for own, now in self._others:
            own.copy_(now)

    def state(self) -> dict[str, Any]:
        """Return all that it has, as plain data and tensors, which are not copied."""
        return {"seen": self.seen, "network": self.network.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Bring back what `state` returned."""
        self.seen = int(state["seen"])
        self.network.load_state_dict(state["network"])


def _paired(own: nn.Module, network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Parameters and buffers of two networks of one form, side by side."""
    here, there = ([*module.parameters(), *module.buffers()] for module in (own, network))
    return list(zip(here, there, strict=True))
