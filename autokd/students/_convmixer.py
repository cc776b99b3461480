"""ConvMixer: patches, then depthwise and pointwise convolutions in turn (Trockman and Kolter, TMLR 2023, 2201.09792).

Section 2: a patch embedding, then `depth` blocks that add a depthwise convolution to what they read and mix channels;
GELU and batch normalisation follow each convolution. ConvMixer-256/8 has patches of 1 or 2 pixels on CIFAR-10. Patches
are as large as asked for images up to 64 pixels, twice that up to 128 and so on, and never over half of the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer
from autokd.students.layers import patch_side, thirds
from autokd.types import IMAGE, BuildContext, Output, Task


class _Block(nn.Module):
    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.mix_places = nn.Sequential(
            nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width),
            nn.GELU(),
            nn.BatchNorm2d(width),
        )
        self.mix_channels = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU(), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix_channels(x + self.mix_places(x))
        return mixed


class _ConvMixer(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, kernel_size: int, patch: int) -> None:
        super().__init__()
        side = patch_side(patch, min(task.input_shape[1:]))
        self.patches = nn.Sequential(
            nn.Conv2d(task.input_shape[0], width, side, side), nn.GELU(), nn.BatchNorm2d(width)
        )
        self.blocks = nn.ModuleList(_Block(width, kernel_size) for _ in range(depth))
        self.shown = thirds(depth)
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.patches(x)
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        pooled = x.mean((2, 3))
        return Output(self.fc(pooled), tuple(maps[index] for index in self.shown), pooled)


@dataclass(frozen=True, kw_only=True)
class ConvMixer:
    """Convolutions over patches; features are what comes after each third of the blocks, all of the same shape.

    Raises:
      ValueError: kernel_size is even.
    """

    declares = Student(modalities=IMAGE)

    depth: Annotated[int, Integer(1, 12, unit="blocks")] = 4  # 8 in the paper's for CIFAR-10
    width: Annotated[int, Integer(16, 256, step=16, unit="channels")] = 48  # 256 there
    kernel_size: Annotated[int, Choice(3, 5, 7, 9, unit="patches")] = 5  # of depthwise convolutions; 5 to 9 there
    patch: Annotated[int, Choice(1, 2, 4, unit="pixels")] = 2  # side of a patch; 1 or 2 there

    def __post_init__(self) -> None:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, initialised as PyTorch does."""
        return _ConvMixer(context.task, self.depth, self.width, self.kernel_size, self.patch)
