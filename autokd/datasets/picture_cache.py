"""A set of pictures in the cache: one file, written as they are decoded, read as their pixels are asked for.

It is a safetensors file of two tensors: `pixels`, uint8 [N, channels, side, side], and `notes`, JSON as UTF-8. Its
header has room to be written last, when all is known. Whatever goes wrong before that leaves no file of that name.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from autokd.errors import DataError
from autokd.files import CACHE_REMEDY, written_whole
from autokd.lazy import FileRows

_BEGIN = 4096
"""Bytes of the header, in which there are eight with its length."""
_LEAST_SIDE = 8
"""Side in pixels below which none is proposed."""
_ABANDONED = 3600.0
"""Seconds after which the unfinished file of a process that is gone is deleted."""


class Kept(NamedTuple):
    """A set of pictures that is in the cache.

    Args:
      source: of the pixels.
      notes: plain data about them.
    """

    source: FileRows
    notes: Mapping[str, Any]


class Room(NamedTuple):
    """What decoded pictures take.

    Args:
      pictures: how many.
      channels: 1 or 3.
      side: in pixels.
    """

    pictures: int
    channels: int
    side: int

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return self.pictures * self.channels * self.side**2

    def check(self, folder: Path) -> None:
        """Refuse pictures for which the disk has no room.

        Args:
          folder: that they are to be kept in.

        Raises:
          DataError: with the size that fits.
        """
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        free = shutil.disk_usage(there).free
        if self.nbytes <= free:
            return
        fits = math.isqrt(int(0.9 * free) // (self.pictures * self.channels))
        smaller = f", or give --image-size {fits}" if fits >= _LEAST_SIDE else ""
        raise DataError(
            f"{self.pictures} pictures of {self.side} × {self.side} pixels take {self.nbytes / 1e9:.2f} GB decoded, "
            f"and {folder} has {free / 1e9:.2f} GB free; {CACHE_REMEDY}{smaller}"
        )


def find(path: Path) -> Kept | None:
    """Return the set in a file of the cache; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
            begin, shape = 8 + length, header["pixels"]["shape"]
            first, last = header["notes"]["data_offsets"]
            if path.stat().st_size != begin + last or first != math.prod(shape) or length > _BEGIN:
                return None
            file.seek(begin + first)
            notes = json.loads(file.read())
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return None
    return Kept(FileRows(path, begin, tuple(shape[1:])), notes)


def write(
    path: Path, pictures: Iterable[NDArray[np.uint8]], notes: Callable[[], Mapping[str, Any]], channels: int = 1
) -> None:
    """Write a set whole or not at all; with one channel where no picture has colour.

    Args:
      path: of the file.
      pictures: [1 or 3, side, side] each, at least one.
      notes: plain data about them, asked for when all are written.
      channels: that it has at least.
    """
    _delete_abandoned(path.parent)
    with written_whole(path) as temporary, temporary.open("w+b") as file:
        file.seek(_BEGIN)
        shape: list[int] = []
        for picture in pictures:
            shape = shape or [0, channels, *picture.shape[1:]]
            if shape[1] == 1 and (picture != picture[:1]).any():
                _add_colour(file, shape)
            file.write(picture[: shape[1]].tobytes())
            shape[0] += 1
        text, size = json.dumps(notes()).encode(), math.prod(shape)
        file.write(text)
        header = {
            "pixels": {"dtype": "U8", "shape": shape, "data_offsets": [0, size]},
            "notes": {"dtype": "U8", "shape": [len(text)], "data_offsets": [size, size + len(text)]},
        }
        file.seek(0)
        file.write((_BEGIN - 8).to_bytes(8, "little") + json.dumps(header).encode().ljust(_BEGIN - 8))


def _add_colour(file: BinaryIO, shape: list[int]) -> None:
    """Give the pictures that are written three channels, the last first: each moves to where none is left to read."""
    size = math.prod(shape[2:])
    for row in reversed(range(shape[0])):
        file.seek(_BEGIN + row * size)
        grey = file.read(size)
        file.seek(_BEGIN + 3 * row * size)
        file.write(3 * grey)
    file.seek(_BEGIN + 3 * shape[0] * size)
    shape[1] = 3


def _delete_abandoned(folder: Path) -> None:
    """Delete what processes that were killed while they wrote have left."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError, ValueError):
            gone = not psutil.pid_exists(int(path.suffixes[-2].removeprefix(".")))
            if gone and time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
