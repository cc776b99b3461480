"""Residual perceptron, for tables: blocks that add what they compute to what they read.

Source: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, arXiv 2106.11959, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Integer, Real
from autokd.students.tabular import BatchNorm
from autokd.types import TABLE, BuildContext, Output, Task


def _block(width: int, hidden: int, dropouts: tuple[float, float]) -> nn.Sequential:
    inside, after = dropouts
    return nn.Sequential(
        BatchNorm(width),
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Dropout(inside),
        nn.Linear(hidden, width),
        nn.Dropout(after),
    )


class _TabularResNet(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, hidden: int, dropouts: tuple[float, float]) -> None:
        super().__init__()
        self.first = nn.Linear(task.input_shape[0], width)
        self.blocks = nn.ModuleList(_block(width, hidden, dropouts) for _ in range(depth))
        self.last = nn.Sequential(BatchNorm(width), nn.ReLU())
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.first(x)
        features = [x]
        for block in self.blocks:
            x = x + block(x)
            features.append(x)
        pooled = self.last(x)
        return Output(self.fc(pooled), (*features[1:-1], pooled), pooled)


@dataclass(frozen=True, kw_only=True)
class TabularResNet:
    """Residual perceptron; features are what its blocks give, the last after normalisation and ReLU, which is pooled.

    A block: batch normalisation, linear, ReLU, dropout, linear, dropout, and the sum with what it reads.
    """

    declares = Student(modalities=TABLE)

    depth: Annotated[int, Integer(1, 8, unit="blocks")] = 2  # residual blocks
    width: Annotated[int, Integer(4, 512, log=True, unit="units")] = 64  # of what is added up
    expansion: Annotated[float, Real(0.5, 4.0)] = 2.0  # units between a block's two layers, as a multiple of the width
    dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # probability of zeroing a unit inside a block in training
    residual_dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # the same of what a block adds

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, columns] to `Output`, with PyTorch's initialisation of linear layers."""
        return _TabularResNet(
            context.task,
            self.depth,
            self.width,
            max(1, round(self.expansion * self.width)),
            (self.dropout, self.residual_dropout),
        )
