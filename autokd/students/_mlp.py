"""Multi-layer perceptron, for tables: blocks of linear, ReLU and dropout; images are flattened.

Source: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, arXiv 2106.11959, section 3.1.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Integer, Real
from autokd.types import IMAGE, TABLE, BuildContext, Output, Task


class _MLP(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, dropout: float) -> None:
        super().__init__()
        widths = [math.prod(task.input_shape), *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in itertools.pairwise(widths)
        )
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = x.flatten(1)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return Output(self.fc(x), tuple(features), x)


@dataclass(frozen=True, kw_only=True)
class MLP:
    """Multi-layer perceptron; features are the outputs of its hidden layers, pooled is the last of them."""

    declares = Student(modalities=IMAGE | TABLE)

    depth: Annotated[int, Integer(1, 6, unit="layers")] = 2  # hidden layers
    width: Annotated[int, Integer(4, 512, log=True, unit="units")] = 64  # of every hidden layer
    dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # probability of zeroing a hidden unit in training

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, *input_shape] to `Output`, with PyTorch's initialisation of linear layers."""
        return _MLP(context.task, self.depth, self.width, self.dropout)
