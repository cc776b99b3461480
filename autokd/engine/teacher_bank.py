"""Teacher outputs, computed once for each view of the training set and shared by all trials.

Training always consumes the stored value: a block is computed over the whole set in canonical chunks, rounded to half
precision, and read back from that, so runs are bit-identical whether they found a block or computed it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autokd.types import Output

CHUNK = 512
"""Samples of one canonical chunk; part of what a block's values depend on."""


class TeacherBank:
    """Teacher outputs by key, bounded in size by admission.

    When the bank is full, new blocks are computed, used and not kept: epochs are visited in cycles, and evicting the
    oldest block under a cyclic scan would never hit.

    Args:
      max_bytes: bound on what is kept.
    """

    def __init__(self, max_bytes: int = 2**30) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self._blocks: dict[str, Output] = {}

    def block(self, key: str, size: int, answer: Callable[[Tensor], Output], device: torch.device) -> Output:
        """Return the outputs of the whole set under one view, half precision, on the device.

        Args:
          key: identifies teacher, data and view.
          size: number of samples N.
          answer: index [B] -> teacher output on these samples' views.
          device: where indices and outputs live.
        Returns:
          logits [N, C] and, where the teacher offers it, pooled [N, D]; no feature maps.
        """
        if key in self._blocks:
            self.hits += 1
            return self._blocks[key]
        self.misses += 1
        block = _compute(size, answer, device)
        used = sum(t.numel() * t.element_size() for t in (block.logits, block.pooled) if t is not None)
        if self.used_bytes + used <= self.max_bytes:
            self._blocks[key] = block
            self.used_bytes += used
        return block


def _compute(size: int, answer: Callable[[Tensor], Output], device: torch.device) -> Output:
    outputs = [answer(index) for index in torch.split(torch.arange(size, device=device), CHUNK)]
    logits = torch.cat([_half(output.logits) for output in outputs])
    pooled = [_half(output.pooled) for output in outputs if output.pooled is not None]
    return Output(logits, (), torch.cat(pooled) if pooled else None)


def _half(values: Tensor) -> Tensor:
    limit = torch.finfo(torch.float16).max
    return values.clamp(-limit, limit).to(torch.float16)
