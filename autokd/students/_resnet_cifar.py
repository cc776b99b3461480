"""Residual network with blocks of its own a stage: the space S0 of DisWOT (Dong et al., CVPR 2023, arXiv 2303.15678).

The network is that of `resnet` (He et al., CVPR 2016, arXiv 1512.03385, section 4.2), whose three stages have equally
many basic blocks. S0 is 1, 3, 5 or 7 blocks in each of the stages, at a width of 16: 64 networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from autokd.declarations import Student
from autokd.ranges import Integer
from autokd.students.residual import ResidualNetwork
from autokd.types import IMAGE, BuildContext


@dataclass(frozen=True, kw_only=True)
class ResNetCifar:
    """Residual network for small images; features are the three stages' outputs, after their last ReLU.

    Raises:
      ValueError: a stage has no block.
    """

    declares = Student(modalities=IMAGE)

    blocks1: Annotated[int, Integer(1, 9, unit="blocks")] = 3  # basic blocks of the first stage; 1, 3, 5, 7 in S0
    blocks2: Annotated[int, Integer(1, 9, unit="blocks")] = 3  # of the second
    blocks3: Annotated[int, Integer(1, 9, unit="blocks")] = 3  # of the third
    width: Annotated[int, Integer(4, 64, step=4, unit="channels")] = 16  # of the first stage; 16 in the paper

    def __post_init__(self) -> None:
        if min(self.blocks1, self.blocks2, self.blocks3) < 1:
            raise ValueError(
                f"every stage needs 1 block or more, got {self.blocks1}, {self.blocks2} and {self.blocks3}"
            )

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, He-normal initialised."""
        return ResidualNetwork(context.task, (self.blocks1, self.blocks2, self.blocks3), self.width)
