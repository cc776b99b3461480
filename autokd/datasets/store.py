"""Tensors kept in a file of the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from torch import Tensor

from autokd.files import read_tensors, write_tensors


class Stored(NamedTuple):
    """Named tensors, and text about them."""

    tensors: dict[str, Tensor]
    notes: dict[str, str]


def kept(path: Path, make: Callable[[], Stored]) -> Stored:
    """Return what `path` holds; where it is missing or damaged, make it and write it there first."""
    with contextlib.suppress(FileNotFoundError, SafetensorError):
        return read(path)
    stored = make()
    write_tensors(path, stored.tensors, stored.notes)
    return stored


def read(path: Path) -> Stored:
    """Return what a safetensors file holds.

    Raises:
      FileNotFoundError, SafetensorError: it is missing or damaged.
    """
    return Stored(*read_tensors(path))
