"""Multi-layer perceptron on embeddings, for tables: of categories, and where asked of numbers.

Source: categories: Guo & Berkhahn, Entity Embeddings of Categorical Variables, 2016, arXiv 1604.06737, section 3 (an
embedding is a linear layer on top of the one-hot category). Numbers: Gorishniy et al., On Embeddings for Numerical
Features in Tabular Deep Learning, NeurIPS 2022, arXiv 2203.05556, section 3.3, "PLR"; its linear layer is one for all
columns, as in the variant "lite" of the released code.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer, Real
from autokd.students.tabular import GroupedLinear, columns_of, layout
from autokd.types import TABLE, BuildContext, Output, Task


class Embedding(NamedTuple):
    """How columns are embedded: in how many numbers, at how many frequencies, and how far those spread at the start."""

    width: int
    frequencies: int
    spread: float


class _Periodic(nn.Module):
    """Sines and cosines of each number at learned frequencies, a linear layer and ReLU: [B, n] -> [B, n, width]."""

    def __init__(self, numbers: int, embedding: Embedding) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(numbers, embedding.frequencies))
        nn.init.normal_(self.frequencies, 0.0, embedding.spread)
        self.fc = nn.Linear(2 * embedding.frequencies, embedding.width)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        turns = 2 * math.pi * self.frequencies * x.unsqueeze(2)
        rows: Tensor = self.relu(self.fc(torch.cat([turns.sin(), turns.cos()], 2)))
        return rows


class _Embeddings(nn.Module):
    """Rows as perceptrons take them: numbers, then the embeddings of categories of one width after the other."""

    index: Tensor

    def __init__(self, widths: tuple[int, ...], embedding: Embedding) -> None:
        super().__init__()
        dimensions = [min(embedding.width, width - 1) for width in widths]
        alike = {size: [g for g, each in enumerate(dimensions) if each == size] for size in sorted(set(dimensions))}
        numbers = columns_of(widths, alike.pop(0, []))
        self.register_buffer("index", torch.tensor(numbers, dtype=torch.int64).flatten(), persistent=False)
        periodic = embedding.frequencies > 0 and len(numbers) > 0
        self.periodic = _Periodic(len(numbers), embedding) if periodic else nn.Identity()
        self.categories = nn.ModuleList(GroupedLinear(columns_of(widths, g), size) for size, g in alike.items())
        self.width = (embedding.width if periodic else 1) * len(numbers) + sum(dimensions)

    def forward(self, x: Tensor) -> Tensor:
        numbers = self.periodic(x.index_select(1, self.index)).flatten(1)
        return torch.cat([numbers, *(embedded(x).flatten(1) for embedded in self.categories)], 1)


class _EmbeddingMLP(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, dropout: float, embedding: Embedding) -> None:
        super().__init__()
        self.embeddings = _Embeddings(layout(task.groups, task.input_shape), embedding)
        widths = [self.embeddings.width, *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in itertools.pairwise(widths)
        )
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.embeddings(x)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return Output(self.fc(x), tuple(features), x)


@dataclass(frozen=True, kw_only=True)
class EmbeddingMLP:
    """Multi-layer perceptron on embeddings of categories, and of numbers where `frequencies` says so.

    A category of k values becomes a vector of `embedding` numbers, or of k - 1 where that is less. Features are the
    outputs of the hidden layers, pooled is the last of them.
    """

    declares = Student(modalities=TABLE)

    depth: Annotated[int, Integer(1, 6, unit="layers")] = 2  # hidden layers
    width: Annotated[int, Integer(4, 512, log=True, unit="units")] = 64  # of every hidden layer
    dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # probability of zeroing a hidden unit in training
    embedding: Annotated[int, Integer(1, 32, log=True, unit="numbers")] = 8  # a category is embedded in at most
    frequencies: Annotated[int, Choice(0, 4, 8, 16)] = 0  # sines and cosines of each number; 0: numbers as they are
    spread: Annotated[float, Real(0.01, 10.0, log=True)] = 0.1  # standard deviation of the frequencies at the start

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, columns] to `Output`, with PyTorch's initialisation of linear layers."""
        return _EmbeddingMLP(
            context.task,
            self.depth,
            self.width,
            self.dropout,
            Embedding(self.embedding, self.frequencies, self.spread),
        )
