"""Parts of one sample in another: blends, boxes and noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mix(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return share * first + (1 - share) * second.

    Args:
      first, second: [B, ...].
      share: [B], in [0, 1].
    """
    share = share.reshape(-1, *[1] * (first.dim() - 1))
    return first * share + second * (1 - share)


def draw_beta(generator: torch.Generator, n: int, alpha: float) -> Tensor:
    """Return n draws from Beta(alpha, alpha), [n] float32."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n).astype(np.float32))


def inside(box: Tensor, height: int, width: int) -> Tensor:
    """Return which pixels lie in each sample's box.

    Args:
      box: [B, 4] int64: top, bottom, left, right; bottom and right are outside.
    Returns:
      [B, 1, H, W] bool.
    """
    top, bottom, left, right = box[:, None, :, None].unbind(2)
    row, column = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    in_rows, in_columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return in_rows[..., :, None] & in_columns[..., None, :]


def scaled_box(box: Tensor, scale: tuple[float, float]) -> Tensor:
    """Return boxes [B, 4] (top, bottom, left, right) in images that are so many times as high and as wide."""
    if scale == (1.0, 1.0):
        return box
    down, right = scale
    factors = (down, down, right, right)
    return torch.stack([edge * by for edge, by in zip(box.unbind(1), factors, strict=True)], 1).round().long()


def noise_like(images: Tensor, seed: Tensor) -> Tensor:
    """Return independent uniform 8-bit noise for every value of the images, from an integer hash of seed and place.

    Args:
      images: [B, C, H, W], for the shape.
      seed: [B] int64 in [0, 2**32).
    """
    place = torch.arange(images[0].numel(), device=images.device) * 0x9E3779B1
    value = (seed[:, None] + place) & 0xFFFFFFFF
    for _ in range(2):
        value = ((value ^ (value >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return ((value >> 16) & 255).view(images.shape).to(images.dtype) / 255
