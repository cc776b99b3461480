"""Networks behind a resize of their images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Resized(nn.Module):
    """A network behind a bilinear resize of its images to `size` × `size` pixels."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, images: Tensor) -> Any:
        """Return the network's answer to the resized images."""
        size = (self.size, self.size)
        if images.shape[-2:] == size:
            return self.network(images)
        return self.network(nn.functional.interpolate(images, size=size, mode="bilinear", antialias=True))
