"""Network of depthwise-separable convolutions, after MobileNetV1 (Howard et al., 2017, arXiv 1704.04861, table 1).

A 3x3 convolution with w channels, then `depth` depthwise-separable blocks in at most five stages. The first stage has
2w channels; every later one starts with a stride of 2 and doubles them, as in the paper (w = 32, depth 13). Unlike in
the paper, blocks are spread evenly over the stages, and small images get as many stages as keep the last map at 2x2 or
more, so that 8x8 images have three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Integer
from autokd.students.layers import conv_bn_relu, he_normal_, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task

_MAX_STAGES = 5


def _stages(side: int, depth: int) -> int:
    """Number of stages for maps of `side` pixels: a stride of 2 halves them, rounding up, to no less than 2."""
    stages = 1
    while stages < min(_MAX_STAGES, depth) and side > 2:
        side = (side + 1) // 2
        stages += 1
    return stages


def _block(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    depthwise = conv_bn_relu(in_channels, in_channels, stride=stride, groups=in_channels)
    return nn.Sequential(depthwise, conv_bn_relu(in_channels, out_channels, kernel_size=1))


def _stage(width: int, index: int, blocks: int) -> nn.Sequential:
    channels = width * 2 ** (index + 1)
    first = _block(channels // 2, channels, 2 if index else 1)
    return nn.Sequential(first, *(_block(channels, channels, 1) for _ in range(blocks - 1)))


class _MobileNet(nn.Module):
    def __init__(self, task: Task, depth: int, width: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        stride = stem_stride(side)
        stages = _stages(-(-side // stride), depth)
        blocks = [depth // stages + (index < depth % stages) for index in range(stages)]
        self.stem = conv_bn_relu(task.input_shape[0], width, stride=stride)
        self.stages = nn.ModuleList(_stage(width, index, count) for index, count in enumerate(blocks))
        self.fc = nn.Linear(width * 2**stages, task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        pooled = x.mean((2, 3))
        return Output(self.fc(pooled), tuple(features), pooled)


@dataclass(frozen=True, kw_only=True)
class MobileNet:
    """Depthwise-separable network; features are the outputs of its stages, after their last ReLU."""

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Integer(2, 13, unit="blocks")] = 6  # depthwise-separable blocks; 13 in the paper
    width: Annotated[int, Integer(4, 64, step=4, unit="channels")] = 16  # of the first convolution; 32 in the paper

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _MobileNet(context.task, self.depth, self.width)
