"""Network of inverted residuals, after MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381, section 3.3).

A block widens its channels by the expansion, convolves each by itself, and narrows them again without an activation;
where its shape stays it adds its input. A 3x3 convolution with w channels comes first, then `depth` blocks in at most
five stages: w channels in the first, and a stride of 2 and twice the channels in every later one. A 1x1 convolution to
four times the last stage's channels ends it, as in the paper (320 to 1280). Unlike in the paper, stages double, blocks
are spread evenly over them, ReLU stands for ReLU6, and small images get as many stages as keep maps at 2x2 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer
from autokd.students.layers import conv_bn_relu, he_normal_, spread, stages_within, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task

_MAX_STAGES = 5
_LAST = 4


class _InvertedResidual(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.widen = conv_bn_relu(in_channels, hidden, kernel_size=1) if expansion > 1 else nn.Identity()
        self.depthwise = conv_bn_relu(hidden, hidden, kernel_size=kernel_size, stride=stride, groups=hidden)
        self.narrow = nn.Sequential(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.narrow(self.depthwise(self.widen(x)))
        return x + changed if self.adds else changed


class _MobileNetV2(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        stride = stem_stride(side)
        count = stages_within(-(-side // stride), min(_MAX_STAGES, depth))
        channels = [width, *(width * 2**index for index in range(count))]
        self.stem = conv_bn_relu(task.input_shape[0], width, stride=stride)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _InvertedResidual(channels[index], channels[index + 1], 2 if index else 1, expansion, kernel_size),
                *(
                    _InvertedResidual(channels[index + 1], channels[index + 1], 1, expansion, kernel_size)
                    for _ in range(blocks - 1)
                ),
            )
            for index, blocks in enumerate(spread(depth, count))
        )
        self.last = conv_bn_relu(channels[-1], _LAST * channels[-1], kernel_size=1)
        self.fc = nn.Linear(_LAST * channels[-1], task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.last(x)
        pooled = features[-1].mean((2, 3))
        return Output(self.fc(pooled), tuple(features), pooled)


@dataclass(frozen=True, kw_only=True)
class MobileNetV2:
    """Network of inverted residuals; features are the outputs of its stages, the last after the last convolution."""

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Integer(2, 17, unit="blocks")] = 6  # inverted residuals; 17 in the paper
    width: Annotated[int, Integer(4, 32, step=4, unit="channels")] = 8  # of the first convolution; 32 in the paper
    expansion: Annotated[int, Choice(1, 2, 3, 4, 6)] = 4  # of the channels inside a block; 6 in the paper
    kernel_size: Annotated[int, Choice(3, 5, 7, unit="pixels")] = 3  # of the depthwise convolutions; 3 in the paper

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _MobileNetV2(context.task, self.depth, self.width, self.expansion, self.kernel_size)
