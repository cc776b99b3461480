"""Arrays of pictures in their own size, resized each time that they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autokd.batching import single
from autokd.modalities.images import ImagePreprocess, conform
from autokd.types import Samples


class ResizedArrays:
    """A dataset's samples by id, as something that looks at more of them sees them; see `autokd.input_values.Finer`.

    Args:
      samples: of the dataset; `whole` are uint8 images [n, 1 or 3, H, W].
      side: in pixels; arrays that have it are taken as they are.
      preprocess: how the dataset's other pictures were made square.
    """

    dtype = torch.uint8
    shape: tuple[int, ...]

    def __init__(self, samples: Samples, side: int, preprocess: ImagePreprocess) -> None:
        self._side, self.shape = side, (preprocess.channels, side, side)
        self._parts, self._reading = [single(part) for part in samples.whole], preprocess.reading
        self._numbers = torch.tensor(samples.numbers, dtype=torch.int64)
        lengths = torch.tensor([0, *map(len, self._parts)])
        self._begins = lengths.cumsum(0)

    @property
    def about(self) -> dict[str, Any]:
        """How they are made square, as plain data."""
        return dataclasses.asdict(self._reading)

    def read(self, rows: Tensor) -> Tensor:
        """Return some samples; see `autokd.lazy.Source`."""
        numbers, found = self._numbers[rows], torch.empty(len(rows), *self.shape, dtype=torch.uint8)
        for part, begin in zip(self._parts, self._begins.tolist(), strict=False):
            there = ((numbers >= begin) & (numbers < begin + len(part))).nonzero().squeeze(1)
            if len(there):
                pictures = part[numbers[there] - begin]
                found[there] = conform(pictures, (self._side, self._side), self.shape[0], self._reading.resize)
        return found

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all, one after the other."""
        for row in range(len(self._numbers)):
            yield self.read(torch.tensor([row]))[0].numpy()
