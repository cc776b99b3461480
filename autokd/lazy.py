"""Samples that are read when they are asked for: tensors that are larger than memory, or that may not be needed."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from autokd.errors import DataError

PIECE = 2**25
"""Bytes that are gone through at a time."""
DENSE = 2
"""Samples that are read for each that is asked for, at most; where these lie further apart, each is read alone."""
_COPIED = ("dtype", "device", "non_blocking")


class Source(Protocol):
    """Where samples lie.

    Args:
      shape: of one sample.
      dtype: of its values.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    def read(self, rows: Tensor) -> Tensor:
        """Return a copy of some samples, [n, *shape], on the CPU; rows are [n] int64 on the CPU."""


class FileRows:
    """uint8 samples one after the other in a file; see `Source`.

    They are read into memory of their own, not mapped: what a process takes of memory does not grow with what it has
    read, and a file that is cut off meanwhile is an error, not the end of the process. The system keeps as much of the
    file in its cache as there is room for.

    Args:
      path: the file.
      begin: bytes before the first sample.
      shape: of a sample.
    """

    dtype = torch.uint8

    def __init__(self, path: Path, begin: int, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        self._begin, self._size = begin, math.prod(shape)
        self._lock = threading.Lock()

    def read(self, rows: Tensor) -> Tensor:
        """Return some samples; see `Source`.

        Raises:
          DataError: the file ends before one of them.
        """
        if not len(rows):
            return torch.empty(0, *self.shape, dtype=torch.uint8)
        first, last = int(rows.min()), int(rows.max())
        if last - first < DENSE * len(rows):
            return self._span(first, last + 1)[rows - first]
        found = torch.empty(len(rows), *self.shape, dtype=torch.uint8)
        for place, row in zip(found, rows.tolist(), strict=True):
            self._read_into(place, row)
        return found

    def _span(self, first: int, end: int) -> Tensor:
        found = torch.empty(end - first, *self.shape, dtype=torch.uint8)
        self._read_into(found, first)
        return found

    def _read_into(self, found: Tensor, row: int) -> None:
        left = memoryview(cast("Any", found.reshape(-1).numpy()))
        with self._lock:
            self._file.seek(self._begin + row * self._size)
            while left:
                count = self._file.readinto(left)
                if not count:
                    raise DataError(f"{self._file.name}: the file was cut off while it was in use; start again")
                left = left[count:]


class LazyTensor(Tensor):
    """[N, …]: some samples of a source, read where they are indexed. Any other operation on it reads all of them.

    Args:
      source: of the samples.
      rows: [N] int64 on the CPU, which samples it has, in their order.
    """

    source: Source
    rows: Tensor

    @staticmethod
    def __new__(cls, source: Source, rows: Tensor) -> LazyTensor:
        """Make a tensor that knows shape and type, and has no memory."""
        shape = (len(rows), *source.shape)
        made: LazyTensor = Tensor._make_wrapper_subclass(cls, shape, dtype=source.dtype)
        made.source, made.rows = source, rows
        return made

    def __init__(self, source: Source, rows: Tensor) -> None:
        super().__init__()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's docs have it

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"LazyTensor({tuple(self.shape)}, {self.dtype})"

    def __getitem__(self, index: Any) -> Tensor:
        """Read what a number, a slice, or a tensor [B] of numbers or a mask [N] means."""
        if isinstance(index, int):
            return self.source.read(self.rows[index].reshape(1))[0]
        if isinstance(index, slice) or (isinstance(index, Tensor) and index.ndim == 1):
            return self.source.read(self.rows[index])
        return self.loaded()[index]

    def numpy(self, *, force: bool = False) -> Any:
        """Read all samples as an array."""
        return self.loaded().numpy(force=force)

    def at(self, index: Tensor | slice) -> LazyTensor:
        """Return some of the samples, not read yet."""
        return LazyTensor(self.source, self.rows[index])

    def loaded(self) -> Tensor:
        """Return all samples as a plain tensor, read piece by piece: nothing takes their size twice."""
        return self._through(lambda piece: piece)

    def _through(self, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return all samples changed, sample by sample, as a plain tensor."""
        like, end = change(self[:0]), 0
        whole = torch.empty((len(self), *like.shape[1:]), dtype=like.dtype, device=like.device)
        for piece in pieces(self):
            whole[end : end + len(piece)] = change(piece)
            end += len(piece)
        return whole

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.ops.aten._to_copy.default:  # to another device or type: never all of it twice
            only = {key: value for key, value in given.items() if key in _COPIED and value is not None}
            return args[0]._through(lambda piece: piece.to(**only))
        return func(*map(_plain, args), **{key: _plain(value) for key, value in given.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return loaded(value) if isinstance(value, Tensor) else value


def loaded(tensor: Tensor) -> Tensor:
    """Return a tensor with its samples in memory; the same one where they are there already."""
    return tensor.loaded() if isinstance(tensor, LazyTensor) else tensor


class _Joined:
    """Samples of several tensors, one after the other; see `Source`."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.shape, self.dtype = tuple(parts[0].shape[1:]), parts[0].dtype
        self._parts = parts
        self._ends = torch.tensor([len(part) for part in parts]).cumsum(0)

    def read(self, rows: Tensor) -> Tensor:
        """Return some samples; see `Source`."""
        found = torch.empty(len(rows), *self.shape, dtype=self.dtype)
        of_part = torch.searchsorted(self._ends, rows, right=True)
        for number, part in enumerate(self._parts):
            places = (of_part == number).nonzero().squeeze(1)
            found[places] = part[rows[places] - (int(self._ends[number]) - len(part))]
        return found


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the samples of several tensors as one, on the CPU; where one of them is lazy, so is it."""
    if not any(isinstance(part, LazyTensor) for part in parts):
        return torch.cat(list(parts))
    return LazyTensor(_Joined(parts), torch.arange(sum(map(len, parts))))


def pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Yield a tensor's samples in order, about `PIECE` bytes at a time; none for an empty one."""
    each = tensor.numel() * tensor.element_size() // max(1, len(tensor))
    size = max(1, PIECE // max(1, each))
    for start in range(0, len(tensor), size):
        yield tensor[start : start + size]
