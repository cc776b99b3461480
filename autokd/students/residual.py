"""The residual network for small images that students with stages of basic blocks share."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from autokd.students.layers import Projection, he_normal_, stem_stride
from autokd.types import Output, Task


class _BasicBlock(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(Projection(in_channels, channels, stride), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return cast(Tensor, self.relu2(residual + self.downsample(x)))


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    later = (_BasicBlock(channels, channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(_BasicBlock(in_channels, channels, stride), *later)


class ResidualNetwork(nn.Module):
    """Three stages of basic blocks with w, 2w and 4w channels, He-normal initialised.

    Args:
      task: says the shape of the images and the classes.
      blocks: of each stage.
      width: w, also of the first convolution.
    """

    def __init__(self, task: Task, blocks: tuple[int, int, int], width: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        self.conv1 = nn.Conv2d(task.input_shape[0], width, 3, stem_stride(side), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if side > 128 else nn.Identity()
        self.layer1 = _stage(width, width, blocks[0], 1)
        self.layer2 = _stage(width, 2 * width, blocks[1], 2)
        self.layer3 = _stage(2 * width, 4 * width, blocks[2], 2)
        self.fc = nn.Linear(4 * width, task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        """[B, channels, height, width] -> `Output`; features are the stages' outputs, after their last ReLU."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        pooled = third.mean((2, 3))
        return Output(self.fc(pooled), (first, second, third), pooled)
