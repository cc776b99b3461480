"""Network of units that split and shuffle channels, after ShuffleNetV2 (Ma et al., ECCV 2018, arXiv 1807.11164).

A unit (figure 3c) passes half of its channels on, changes the others by a depthwise convolution between two of 1x1,
and shuffles both; a unit that halves the maps (figure 3d) changes all of them, twice. A 3x3 convolution comes first,
then `depth` units in at most three stages of w, 2w and 4w channels, each of which begins with a stride of 2, and a 1x1
convolution to twice the last stage's channels. As in the paper (table 5, w = 48 to 244, 16 units) but for the widths of
the first and the last convolution, units that are spread evenly, and strides: small images enter without one, and get
as many stages as keep the last map at 2x2 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer
from autokd.students.layers import conv_bn_relu, he_normal_, spread, stages_within, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task

_MAX_STAGES = 3
_LAST = 2


def _depthwise(channels: int, kernel_size: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size, stride, kernel_size // 2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    )


def _changing(in_channels: int, channels: int, kernel_size: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_bn_relu(in_channels, channels, kernel_size=1),
        _depthwise(channels, kernel_size, stride),
        conv_bn_relu(channels, channels, kernel_size=1),
    )


def _shuffled(first: Tensor, second: Tensor) -> Tensor:
    """The channels of both in turn."""
    batch, channels, *sides = first.shape
    return torch.stack([first, second], 2).reshape(batch, 2 * channels, *sides)


class _Unit(nn.Module):
    """[B, 2c, h, w] to the same shape."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.change = _changing(channels // 2, channels // 2, kernel_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        return _shuffled(kept, self.change(changed))


class _Halving(nn.Module):
    """[B, c, h, w] to [B, channels, h / 2, w / 2]."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.short = nn.Sequential(
            _depthwise(in_channels, kernel_size, 2), conv_bn_relu(in_channels, channels // 2, kernel_size=1)
        )
        self.change = _changing(in_channels, channels // 2, kernel_size, 2)

    def forward(self, x: Tensor) -> Tensor:
        return _shuffled(self.short(x), self.change(x))


class _ShuffleNet(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, kernel_size: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        stride = stem_stride(side)
        side = -(-side // stride)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if side > 64 else nn.Identity()
        count = max(1, stages_within(-(-side // 2) if side > 64 else side, min(_MAX_STAGES, depth) + 1) - 1)
        channels = [width // 2, *(width * 2**index for index in range(count))]
        self.stem = conv_bn_relu(task.input_shape[0], channels[0], stride=stride)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Halving(channels[index], channels[index + 1], kernel_size),
                *(_Unit(channels[index + 1], kernel_size) for _ in range(units - 1)),
            )
            for index, units in enumerate(spread(depth, count))
        )
        self.last = conv_bn_relu(channels[-1], _LAST * channels[-1], kernel_size=1)
        self.fc = nn.Linear(_LAST * channels[-1], task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        x = self.maxpool(self.stem(x))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.last(x)
        pooled = features[-1].mean((2, 3))
        return Output(self.fc(pooled), tuple(features), pooled)


@dataclass(frozen=True, kw_only=True)
class ShuffleNet:
    """Network of shuffling units; features are the outputs of its stages, the last after the last convolution.

    Raises:
      ValueError: width is odd.
    """

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Integer(2, 16, unit="units")] = 6  # of all stages; 16 in the paper
    width: Annotated[int, Integer(8, 176, step=8, unit="channels")] = 24  # of the first stage; 48 to 244 in the paper
    kernel_size: Annotated[int, Choice(3, 5, 7, unit="pixels")] = 3  # of the depthwise convolutions; 3 in the paper

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width must be even, since units split it, got {self.width}")

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _ShuffleNet(context.task, self.depth, self.width, self.kernel_size)
