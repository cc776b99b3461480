"""Average pooling of maps to any size, deterministic in both directions on every device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def average_pool(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average-pool maps [B, c, h, w] to [B, c, *size], adaptively, with a deterministic gradient on every device."""
    height, width = x.shape[-2:]
    if (height, width) == tuple(size):
        return x
    if height % size[0] == 0 and width % size[1] == 0:
        cells = (size[0], height // size[0], size[1], width // size[1])
        return x.reshape(*x.shape[:-2], *cells).mean((-3, -1))
    rows, columns = (pooling_matrix(n, m, x.device).to(x.dtype) for n, m in zip((height, width), size, strict=True))
    return rows @ x @ columns.T


def pooling_matrix(before: int, after: int, device: torch.device | None = None) -> Tensor:
    """Return the matrix [after, before] of adaptive average pooling, float64."""
    return F.adaptive_avg_pool1d(torch.eye(before, dtype=torch.float64, device=device), after).T.contiguous()
