"""Tensors kept in a file of the cache."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class Stored(NamedTuple):
    """Named tensors, and text about them."""

    tensors: dict[str, Tensor]
    notes: dict[str, str]


def kept(path: Path, make: Callable[[], Stored]) -> Stored:
    """Return what `path` holds; where it is missing or damaged, make it and write it there first."""
    with contextlib.suppress(FileNotFoundError, SafetensorError):
        return read(path)
    stored = make()
    write(path, stored)
    return stored


def read(path: Path) -> Stored:
    """Return what a safetensors file holds.

    Raises:
      FileNotFoundError, SafetensorError: it is missing or damaged.
    """
    with safe_open(path, framework="pt") as file:
        return Stored({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118


def write(path: Path, stored: Stored) -> None:
    """Write a safetensors file whole."""
    with written_whole(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in stored.tensors.items()}, temporary, stored.notes)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place at the end: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
