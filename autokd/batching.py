"""Operations on inputs, which are one tensor or several by name: nothing else looks inside them.

All tensors of one input have the samples as their first dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from autokd.lazy import LazyTensor, joined, loaded
from autokd.types import Inputs, Split

T = TypeVar("T")


def each(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """Return the inputs with every tensor changed."""
    if isinstance(inputs, Mapping):
        return {name: change(tensor) for name, tensor in inputs.items()}
    return change(inputs)


def tensors(inputs: Inputs) -> list[Tensor]:
    """Return the tensors, in their order."""
    return list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]


def single(inputs: Inputs) -> Tensor:
    """Return the tensor of inputs that are one; for code that is made for such inputs.

    Raises:
      TypeError: they are several.
    """
    if isinstance(inputs, Mapping):
        raise TypeError(f"expected inputs of one tensor, got several: {', '.join(inputs)}")
    return inputs


def named(inputs: Inputs, name: str) -> dict[str, Tensor]:
    """Return the tensors by name: `name` for inputs of one, else `name` and their own ("inputs.ids")."""
    if isinstance(inputs, Mapping):
        return {f"{name}.{own}": tensor for own, tensor in inputs.items()}
    return {name: inputs}


def by_own_name(inputs: Inputs, alone: str) -> dict[str, Tensor]:
    """Return the tensors by name: `alone` for inputs of one, else their own ("ids")."""
    return dict(inputs) if isinstance(inputs, Mapping) else {alone: inputs}


def like(inputs: Inputs, tensors: Sequence[Tensor]) -> Inputs:
    """Return other tensors, in the order of `tensors(inputs)`, as such inputs."""
    return dict(zip(inputs, tensors, strict=True)) if isinstance(inputs, Mapping) else tensors[0]


def take(inputs: Inputs, index: Tensor | slice) -> Inputs:
    """Return some samples.

    Args:
      inputs: of N samples.
      index: a slice, or [B] int64 on the device of the inputs.
    """
    return each(inputs, lambda tensor: tensor[index])


def subset(inputs: Inputs, index: Tensor | slice) -> Inputs:
    """Return some samples as `take` does; where they are read on demand, so are these."""
    return each(inputs, lambda tensor: tensor.at(index) if isinstance(tensor, LazyTensor) else tensor[index])


def take_split(split: Split, index: Tensor | slice) -> Split:
    """Return some samples of a split, see `subset`."""
    labelled = None if split.labelled is None else split.labelled[index]
    ids = None if split.ids is None else split.ids[index]
    finer = None if split.finer is None else subset(split.finer, index)
    return Split(subset(split.inputs, index), split.labels[index], labelled, ids, finer)


def join_splits(parts: Sequence[Split]) -> Split:
    """Return the samples of several splits as one, one after the other; what is read on demand, still is."""
    labelled = None
    if any(part.labelled is not None for part in parts):
        labelled = torch.cat([_labelled(part) for part in parts])
    ids = _known([part.ids for part in parts])
    finer: list[Inputs] | None = _known([part.finer for part in parts])
    return Split(
        _joined([part.inputs for part in parts]),
        torch.cat([part.labels for part in parts]),
        labelled,
        None if ids is None else torch.cat(ids),
        None if finer is None else _joined(finer),
    )


def _labelled(split: Split) -> Tensor:
    return torch.ones(len(split), dtype=torch.bool) if split.labelled is None else split.labelled


def _known(values: Sequence[T | None]) -> list[T] | None:
    """All of them; None where one is missing."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def _joined(parts: Sequence[Inputs]) -> Inputs:
    """As `concat`, of tensors that may be read on demand."""
    columns = iter([joined(column) for column in zip(*map(tensors, parts), strict=True)])
    return each(parts[0], lambda tensor: next(columns))


def first_of(split: Split, count: int) -> Split:
    """Return the first samples of a split, in memory."""
    few = take_split(split, slice(count))
    return replace(few, inputs=each(few.inputs, loaded))


def is_lazy(inputs: Inputs) -> bool:
    """Whether some tensor of the inputs is read on demand."""
    return any(isinstance(tensor, LazyTensor) for tensor in tensors(inputs))


def concat(parts: Sequence[Inputs]) -> Inputs:
    """Return the samples of several inputs one after the other; all have the same tensors."""
    return like(parts[0], [torch.cat(column) for column in zip(*map(tensors, parts), strict=True)])


def to(inputs: Inputs, device: torch.device, *, non_blocking: bool = False) -> Inputs:
    """Return the inputs on a device."""
    return each(inputs, lambda tensor: tensor.to(device, non_blocking=non_blocking))


def pin(inputs: Inputs) -> Inputs:
    """Return the inputs in memory from which a copy to a device need not be waited for."""
    return each(inputs, Tensor.pin_memory)


def count(inputs: Inputs) -> int:
    """Return the number of samples."""
    return len(tensors(inputs)[0])


def nbytes(inputs: Inputs) -> int:
    """Return the bytes of the values."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors(inputs))


def device_of(inputs: Inputs) -> torch.device:
    """Return the device that the inputs are on."""
    return tensors(inputs)[0].device
