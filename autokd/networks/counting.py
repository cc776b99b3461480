"""Counts multiply-accumulates on shapes alone, several times as fast as PyTorch's own counter and to the same number.

PyTorch finds out in Python what shape most operations on the meta device give. What leaves shapes as they are is left
out here, and the shape that a plain convolution gives is written down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

_SAME_SHAPE = {
    *(F.batch_norm, F.layer_norm, F.group_norm, F.dropout, torch.relu),
    *(F.relu, F.relu6, F.hardtanh, F.gelu, F.silu, F.hardswish, F.hardsigmoid),
}
"""Functions that count nothing and give tensors like what they get first."""
_SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.add_, Tensor.__iadd__}


class Counter:
    """Multiply-accumulates, added up."""

    def __init__(self) -> None:
        self.flops = 0

    @property
    def macs(self) -> int:
        """Half of the floating-point operations."""
        return self.flops // 2


@contextlib.contextmanager
def counting() -> Iterator[Counter]:
    """Count the multiply-accumulates of a block that computes with tensors on the meta device."""
    counter = Counter()
    with _Operations(counter), _Shortcuts(counter):
        yield counter


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of the base's __init_subclass__
    """Counts what operations of PyTorch compute."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counter = counter

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        count: Any = flop_registry.get(func._overloadpacket)
        if count is not None:
            self._counter.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


class _Shortcuts(TorchFunctionMode):
    """Stands in for what is called often, on shapes alone."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not args or not isinstance(args[0], Tensor) or not args[0].is_meta:
            return func(*args, **(kwargs or {}))
        if func in _SAME_SHAPE or (func in _SUMS and _alike(*args[:2])):
            return args[0]
        if not kwargs and _is_whole_convolution(func, args):
            return self._convolve(args)
        return func(*args, **(kwargs or {}))

    def _convolve(self, args: tuple[Any, ...]) -> Tensor:
        x, weight, _, stride, padding, dilation, _ = args
        sizes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
        sides = [(size + 2 * pad - gap * (kernel - 1) - 1) // step + 1 for size, kernel, step, pad, gap in sizes]
        shape = [len(x), len(weight), *sides]
        self._counter.flops += conv_flop_count(list(x.shape), list(weight.shape), shape)
        return torch.empty(shape, dtype=x.dtype, device="meta")


def _is_whole_convolution(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it is a convolution with all arguments given, its padding in numbers."""
    return func is torch.conv2d and len(args) == 7 and not isinstance(args[4], str)


def _alike(first: Tensor, second: Any) -> bool:
    return isinstance(second, Tensor) and first.shape == second.shape and first.dtype == second.dtype
