"""Plain convolutional network, small enough for tiny images: 438 parameters for 8x8 grey digits at width 4, 2 layers.

Layers of 3x3 convolution, batch normalisation (Ioffe & Szegedy, 2015, arXiv 1502.03167) and ReLU. From the second on,
a layer is preceded by 2x2 max-pooling and has twice the channels, as long as the map stays at 2x2 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Integer
from autokd.students.layers import conv_bn_relu, he_normal_, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task


class _CNN(nn.Module):
    def __init__(self, task: Task, layers: int, width: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        stride = stem_stride(side)
        side = -(-side // stride)
        self.layers = nn.ModuleList([conv_bn_relu(task.input_shape[0], width, stride=stride)])
        for _ in range(layers - 1):
            halve = side >= 4
            layer = conv_bn_relu(width, 2 * width if halve else width)
            self.layers.append(nn.Sequential(nn.MaxPool2d(2), *layer) if halve else layer)
            side, width = (side // 2, 2 * width) if halve else (side, width)
        self.fc = nn.Linear(width, task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        pooled = x.mean((2, 3))
        return Output(self.fc(pooled), tuple(features), pooled)


@dataclass(frozen=True, kw_only=True)
class CNN:
    """Plain small convolutional network; features are the outputs of its layers, after the ReLU."""

    declares = Student(modalities=IMAGE)

    layers: Annotated[int, Integer(1, 6, unit="layers")] = 3  # convolutions
    width: Annotated[int, Integer(4, 64, step=4, unit="channels")] = 16  # of the first layer

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _CNN(context.task, self.layers, self.width)
