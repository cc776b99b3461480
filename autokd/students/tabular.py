"""What the students for tables share: columns that belong together, by number of columns.

Shapes: B rows, F columns, G groups of columns that stand side by side, d width of an embedding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layout(groups: Sequence[int], input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of the groups of columns, as `Task.groups` has them; where it has none, each column is one."""
    return tuple(groups) or (1,) * input_shape[0]


def columns_of(widths: Sequence[int], chosen: Sequence[int]) -> list[list[int]]:
    """Return the columns of some groups, by their place among all.

    >>> columns_of((1, 3, 1), (1, 2))
    [[1, 2, 3], [4]]
    """
    ends = list(itertools.accumulate(widths))
    return [list(range(ends[group] - widths[group], ends[group])) for group in chosen]


class GroupedLinear(nn.Module):
    """A linear map of its own for each group of columns, without bias: of a one-hot category, its embedding.

    Groups of one width are multiplied at once, so that it computes F * d multiply-accumulates and no more.

    Args:
      columns: of each group, in the order of the result.
      width: d, of the result.
    """

    index: Tensor
    order: Tensor

    def __init__(self, columns: Sequence[Sequence[int]], width: int) -> None:
        super().__init__()
        ordered = sorted(range(len(columns)), key=lambda number: len(columns[number]))
        sizes = [len(columns[number]) for number in ordered]
        self.sizes = tuple(dict.fromkeys(sizes))
        self.counts = tuple(sizes.count(size) for size in self.sizes)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(count, size, width)) for count, size in zip(self.counts, self.sizes, strict=True)
        )
        for weight in self.weights:
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)
        taken = [column for number in ordered for column in columns[number]]
        self.register_buffer("index", torch.tensor(taken, dtype=torch.int64), persistent=False)
        self.register_buffer("order", torch.tensor(ordered, dtype=torch.int64).argsort(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] -> [B, G, d]."""
        lengths = [count * size for count, size in zip(self.counts, self.sizes, strict=True)]
        parts = torch.split(x.index_select(1, self.index), lengths, 1)
        mapped = [
            torch.bmm(part.reshape(part.shape[0], count, size).transpose(0, 1), weight)
            for part, count, size, weight in zip(parts, self.counts, self.sizes, self.weights, strict=True)
        ]
        return torch.cat(mapped).index_select(0, self.order).transpose(0, 1)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that a batch of one row passes by the running statistics, in training too."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, width] -> [B, width]."""
        if self.training and input.shape[0] == 1:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
