"""CIFAR-style residual network (He et al., CVPR 2016, arXiv 1512.03385, section 4.2).

Three stages of n basic blocks, depth 6n + 2, channels w, 2w, 4w. Where a block changes shape its shortcut is a 1x1
convolution with batch normalisation (the paper's option B), as in the checkpoints of RepDistiller, whose state-dict
keys this network shares. Images over 64 pixels enter through a stride of 2, over 128 also through a max-pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer
from autokd.students.residual import ResidualNetwork
from autokd.types import IMAGE, BuildContext


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
        return ResidualNetwork(context.task, ((self.depth - 2) // 6,) * 3, self.width)
