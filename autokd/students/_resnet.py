"""CIFAR-style residual network (He et al., CVPR 2016, arXiv 1512.03385, section 4.2).

Three stages of n basic blocks, depth 6n + 2, channels w, 2w, 4w. Where a block changes shape its shortcut is a 1x1
convolution with batch normalisation (the paper's option B), as in the checkpoints of RepDistiller, whose state-dict
keys this network shares. Images over 64 pixels enter through a stride of 2, over 128 also through a max-pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer
from autokd.students.layers import Projection, he_normal_, stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task


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


class _ResNet(nn.Module):
    def __init__(self, task: Task, blocks: int, width: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        self.conv1 = nn.Conv2d(task.input_shape[0], width, 3, stem_stride(side), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if side > 128 else nn.Identity()
        self.layer1 = _stage(width, width, blocks, 1)
        self.layer2 = _stage(width, 2 * width, blocks, 2)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2)
        self.fc = nn.Linear(4 * width, task.num_classes)
        he_normal_(self)

    def forward(self, x: Tensor) -> Output:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        pooled = third.mean((2, 3))
        return Output(self.fc(pooled), (first, second, third), pooled)


@dataclass(frozen=True, kw_only=True)
class ResNet:
    """Residual network for small images; features are the three stages' outputs, after their last ReLU.

    Raises:
      ValueError: depth is not 6n + 2.
    """

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Choice(8, 14, 20, 32, 44, 56, 110, unit="layers")] = 20  # 6n + 2; n basic blocks a stage
    width: Annotated[int, Integer(4, 64, step=4, unit="channels")] = 16  # of the first stage; 16 in the paper

    def __post_init__(self) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 26, …), got {self.depth}")

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return _ResNet(context.task, (self.depth - 2) // 6, self.width)
