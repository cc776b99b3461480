"""Quantisation-aware training: the student computes as its int8 file will, while gradients pass as if it did not.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference (CVPR
2018, arXiv 1712.05877), section 3; Krishnamoorthi, Quantizing deep convolutional networks for efficient inference
(arXiv 1806.08342), sections 2.4 and 3.2.

What is quantised, and how, is what onnxruntime's static quantisation does: every tensor that a convolution, a linear
layer, a matrix product, a sum of two tensors or a mean over positions reads, and the logits, with 256 levels between
the ends of its range, 0 among them; weights with as many levels above 0 as below, for each output channel apart.
Biases stay as they are, which in a file have 32 bits. Ranges are moving averages of each batch's least and largest
value.

Batch normalisation is computed as ever: by the batch's statistics, those of what the rounded convolution gives, while
the running ones follow them (Jacob et al., section 3.2). In a file it is part of the convolution before it. The weights
need not be multiplied for that before they are rounded: each output channel has a scale of its own, in proportion to
its largest weight, so that rounding comes to the same before and after a channel is multiplied. Statistics that are
frozen from the beginning on, which some do in the last part, let gradients explode where nothing cuts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from autokd.networks.models import as_output
from autokd.types import Inputs, Output

MOMENTUM = 0.01
"""Share of a batch in the moving average of a tensor's range; that of PyTorch's own quantisation-aware training."""
LEVELS = 2**8 - 1
"""Steps between the ends of a tensor's range."""
LARGEST = 2**7 - 1
"""Largest level of a weight; the least is its negative."""
TINY = float(torch.finfo(torch.float32).eps)
"""Least size of a step."""


def fake_quantised(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return values rounded to 256 levels of a range, which is widened so that it has 0, and cut where they leave it.

    The gradient passes unchanged to what lies inside, and not to the rest (the straight-through estimator).

    Args:
      values: float32, of any shape.
      low, high: ends of the range, scalars on the same device.
    """
    low, high = low.clamp_max(0.0), high.clamp_min(0.0)
    scale = ((high - low) / LEVELS).clamp_min(TINY)
    zero = (-low / scale).round().clamp(0, LEVELS).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, LEVELS)


def fake_quantised_weight(weight: Tensor) -> Tensor:
    """Return weights [out, ...], float32, each output channel rounded to 127 levels on either side of 0.

    The gradient passes unchanged.
    """
    largest = weight.detach().flatten(1).abs().amax(1)
    scale = (largest / LARGEST).clamp_min(TINY)
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -LARGEST, LARGEST)


class QuantisationAware:
    """Lets a network compute as its int8 file will, from some point of training on.

    The n-th tensor that is quantised in a pass has the n-th range, so a network must compute the same things in the
    same order in every pass. It computes in float32: bfloat16 would round as coarsely as the levels do.

    Args:
      begin: share of training done from which on it does, in [0, 1).
    """

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.ranges: list[Tensor] = []

    def counts_at(self, u: float) -> bool:
        """Whether the network computes quantised at u, the share of training done."""
        return u >= self.begin

    def answer(self, network: nn.Module, inputs: Inputs) -> Output:
        """Return the network's output on a batch, and take in the ranges of what it computes."""
        faking = _Faking(self.ranges)
        with faking:
            output = as_output(network(inputs))
        return output._replace(logits=faking.quantised(output.logits))

    def state(self) -> Tensor:
        """Return the ranges [tensors, 2] so far, on the CPU where there are none."""
        return torch.stack(self.ranges) if self.ranges else torch.empty(0, 2)

    def load(self, state: Tensor) -> None:
        """Bring back what `state` returned."""
        self.ranges = [each.clone() for each in state]


class _Faking(TorchFunctionMode):
    """One pass of a network whose operations read quantised tensors.

    Args:
      ranges: of the tensors, in the order in which they are read; moved by this pass, and appended to by the first.
    """

    def __init__(self, ranges: list[Tensor]) -> None:
        super().__init__()
        self._ranges = ranges
        self._read: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}  # with the tensor, so that its id stays its own

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        operation = _OPERATIONS.get(func)
        return func(*args, **(kwargs or {})) if operation is None else operation(self, func, args, dict(kwargs or {}))

    def quantised(self, values: Tensor) -> Tensor:
        """Return a tensor as whoever reads it in this pass sees it: quantised once."""
        key = (id(values), values._version)
        if key not in self._read:
            self._read[key] = (values, fake_quantised(values, *self._range_of(values.detach())))
        return self._read[key][1]

    def _range_of(self, values: Tensor) -> Tensor:
        """The range [2] of the tensor that is read next, with this batch taken in."""
        number, now = len(self._read), torch.stack(torch.aminmax(values))
        if number == len(self._ranges):
            self._ranges.append(now)
        else:
            self._ranges[number].lerp_(now, MOMENTUM)
        return self._ranges[number]


_Arguments = tuple[Any, ...]
_Keywords = dict[str, Any]


def _with_weight(faking: _Faking, func: Callable[..., Any], args: _Arguments, kwargs: _Keywords) -> Any:
    """A convolution or a linear layer: of (input, weight, …)."""
    values, weight, *rest = (*args, *_taken(kwargs, "input", "weight"))
    return func(faking.quantised(values), fake_quantised_weight(weight), *rest, **kwargs)


def _of_two(faking: _Faking, func: Callable[..., Any], args: _Arguments, kwargs: _Keywords) -> Any:
    """A matrix product or a sum; one with a number, or of whole numbers, stays as it is."""
    values, other, *rest = (*args, *_taken(kwargs, "input", "other", "mat2"))
    if all(isinstance(each, Tensor) and each.dim() and each.is_floating_point() for each in (values, other)):
        values, other = faking.quantised(values), faking.quantised(other)
    return func(values, other, *rest, **kwargs)


def _of_one(faking: _Faking, func: Callable[..., Any], args: _Arguments, kwargs: _Keywords) -> Any:
    """A mean over positions."""
    values, *rest = (*args, *_taken(kwargs, "input"))
    return func(faking.quantised(values), *rest, **kwargs)


def _taken(kwargs: _Keywords, *names: str) -> list[Any]:
    """The operands that are given by name, taken out."""
    return [kwargs.pop(name) for name in names if name in kwargs]


_OPERATIONS: Mapping[Any, Callable[[_Faking, Callable[..., Any], _Arguments, _Keywords], Any]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d, F.linear), _with_weight),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm), _of_two),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__), _of_two),
    **dict.fromkeys((torch.mean, Tensor.mean, F.avg_pool2d, F.adaptive_avg_pool2d), _of_one),
}
"""What is done differently, by the function of PyTorch that a network calls."""
