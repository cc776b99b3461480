"""Plain network of 3x3 convolutions, after VGG (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556, table 1).

At most five stages of w, 2w, 4w, 8w and 8w channels with max-pooling between them; with w = 64 and 8, 10 or 13 layers
the convolutions are those of VGG11, 13 and 16. Unlike in the paper there is batch normalisation, one linear layer on
the pooled maps in place of three, and small images get as many stages as keep the last map at 2x2 or more. Images over
64 pixels enter through a stride of 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Integer
from autokd.students.layers import conv_bn_relu, he_normal_, spread, stages_within, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task

_WIDER = (1, 2, 4, 8, 8)


class _VGG(nn.Module):
    def __init__(self, task: Task, depth: int, width: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        stride = stem_stride(side)
        count = stages_within(-(-side // stride), min(len(_WIDER), depth))
        before, stages = task.input_shape[0], []
        for index, layers in enumerate(spread(depth, count)):
            channels = width * _WIDER[index]
            first = conv_bn_relu(before, channels, stride=1 if index else stride)
            stages.append(nn.Sequential(first, *(conv_bn_relu(channels, channels) for _ in range(layers - 1))))
            before = channels
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.fc = nn.Linear(before, task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        features: list[Tensor] = []
        for stage in self.stages:
            features.append(stage(self.pool(features[-1]) if features else x))
        pooled = features[-1].mean((2, 3))
        return Output(self.fc(pooled), tuple(features), pooled)


@dataclass(frozen=True, kw_only=True)
class VGG:
    """Plain network of 3x3 convolutions; features are the outputs of its stages, before they are pooled."""

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Integer(2, 16, unit="layers")] = 6  # convolutions; 8, 10, 13 and 16 in the paper
    width: Annotated[int, Integer(4, 64, step=4, unit="channels")] = 16  # of the first stage; 64 in the paper

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _VGG(context.task, self.depth, self.width)
