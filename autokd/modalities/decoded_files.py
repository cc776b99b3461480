"""Picture files decoded a few at a time, in several threads: Pillow works without Python's lock."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autokd.errors import DataError
from autokd.modalities import decoding
from autokd.modalities.decoding import Reading

THREADS = min(4, os.cpu_count() or 1)
_AHEAD, _AHEAD_BYTES = 256, 2**26
"""Files that are read ahead at most, and bytes that these come to, about."""
_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


def in_threads(function: Callable[[_Item], _Found], items: Sequence[_Item], ahead: int = _AHEAD) -> Iterator[_Found]:
    """Yield what a function returns for each item, in their order; at most `ahead` of them are there at a time."""
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(items), ahead):
            yield from threads.map(function, items[start : start + ahead])


def decode_each(
    paths: Sequence[Path], side: int, reading: Reading, channels: int = 3
) -> Iterator[NDArray[np.uint8] | DataError]:
    """Yield each file's picture, [channels, side, side], in RGB or grey, or what is wrong with it."""

    def one(path: Path) -> NDArray[np.uint8] | DataError:
        try:
            return decoding.decode(path, (side, side), channels, reading)
        except DataError as error:
            return error

    return in_threads(one, paths, max(2 * THREADS, min(_AHEAD, _AHEAD_BYTES // (3 * side**2))))


class DecodedFiles:
    """Pictures that are decoded each time that they are read; see `autokd.lazy.Source`.

    Args:
      paths: of their files.
      side: in pixels.
      reading: how they are read.
      skip_bad: a file that cannot be read is black.
      channels: 1 (grey) or 3 (RGB).
    """

    dtype = torch.uint8

    def __init__(
        self, paths: Sequence[Path], side: int, reading: Reading, *, skip_bad: bool = False, channels: int = 3
    ) -> None:
        self.shape: tuple[int, ...] = (channels, side, side)
        self._paths, self._reading, self._skip_bad = paths, reading, skip_bad

    @property
    def about(self) -> dict[str, Any]:
        """How they are read, as plain data."""
        return dataclasses.asdict(self._reading)

    def keep_grey(self, rows: Tensor) -> None:
        """Go on with one channel where these pictures have no colour."""
        if all(bool((picture == picture[:1]).all()) for picture in self.read(rows)):
            self.shape = (1, *self.shape[1:])

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Decode all pictures, one after the other.

        Raises:
          DataError: a file is not a readable image.
        """
        for picture in self.each():
            if isinstance(picture, DataError):
                raise picture
            yield picture

    def each(self) -> Iterator[NDArray[np.uint8] | DataError]:
        """Decode all pictures, one after the other; yield what is wrong with one that cannot be read."""
        yield from decode_each(self._paths, self.shape[1], self._reading, self.shape[0])

    def read(self, rows: Tensor) -> Tensor:
        """Decode some pictures; see `autokd.lazy.Source`.

        Raises:
          DataError: a file is not a readable image.
        """
        found = torch.zeros(len(rows), *self.shape, dtype=torch.uint8)
        paths = [self._paths[row] for row in rows.tolist()]
        for place, picture in zip(found, decode_each(paths, self.shape[1], self._reading, self.shape[0]), strict=True):
            if not isinstance(picture, DataError):
                place.numpy()[:] = picture
            elif not self._skip_bad:
                raise picture
        return found
