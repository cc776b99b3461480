"""FT-Transformer, for tables: every column is a token, and transformer layers let them attend to each other.

Source: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, arXiv 2106.11959, section 3.3
and appendix E (ReGLU, the first normalisation left out).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer, Real
from autokd.students.tabular import GroupedLinear, columns_of, layout
from autokd.types import TABLE, BuildContext, Output, Task


class _Tokens(nn.Module):
    """A token for the whole row, then one a column: [B, F] -> [B, 1 + G, width]."""

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.maps = GroupedLinear(columns_of(widths, range(len(widths))), width)
        self.bias = nn.Parameter(torch.empty(len(widths), width))
        self.row = nn.Parameter(torch.empty(1, 1, width))
        for parameter in (self.bias, self.row):
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.row.expand(x.shape[0], -1, -1), self.maps(x) + self.bias], 1)


class _Attention(nn.Module):
    """Multi-head self-attention that shows its queries, keys and values, [B, heads, N, d] each."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.form, self.scale = (3, heads, width // heads), 1 / math.sqrt(width // heads)
        self.qkv, self.dropout, self.out = nn.Linear(width, 3 * width), nn.Dropout(dropout), nn.Linear(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        queries, keys, values = self.qkv(x).unflatten(2, self.form).permute(2, 0, 3, 1, 4).unbind(0)
        shares = self.dropout((torch.matmul(queries * self.scale, keys.transpose(2, 3))).softmax(3))
        mixed = torch.matmul(shares, values).transpose(1, 2).reshape(x.shape)
        return self.out(mixed), (queries, keys, values)


class _FeedForward(nn.Module):
    """Two linear layers with ReGLU between: half of the units pass as far as ReLU of the other half lets them."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.first, self.relu = nn.Linear(width, 2 * hidden), nn.ReLU()
        self.dropout, self.second = nn.Dropout(dropout), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        passed, gates = self.first(x).chunk(2, 2)
        changed: Tensor = self.second(self.dropout(passed * self.relu(gates)))
        return changed


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, dropouts: tuple[float, float]) -> None:
        super().__init__()
        self.attention = _Attention(width, heads, dropouts[1])
        self.norm, self.change = nn.LayerNorm(width), _FeedForward(width, hidden, dropouts[0])

    def forward(self, x: Tensor, normalised: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        mixed, states = self.attention(normalised)
        x = x + mixed
        return x + self.change(self.norm(x)), states


class _FTTransformer(nn.Module):
    def __init__(
        self, task: Task, depth: int, width: int, heads: int, hidden: int, dropouts: tuple[float, float]
    ) -> None:
        super().__init__()
        self.tokens = _Tokens(layout(task.groups, task.input_shape), width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) if number else nn.Identity() for number in range(depth))
        self.layers = nn.ModuleList(_Layer(width, heads, hidden, dropouts) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.ReLU())
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.tokens(x)
        tokens: list[Tensor] = []
        states: tuple[Tensor, ...] = ()
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x, states = layer(x, norm(x))
            tokens.append(x)
        pooled = self.last(x[:, 0])
        features = [each[:, 0] for each in tokens[:-1]]
        return Output(self.fc(pooled), (*features, pooled), pooled, tuple(tokens), states)


@dataclass(frozen=True, kw_only=True)
class FTTransformer:
    """Transformer over the columns of a table; tokens are what its layers give, the first is that of the whole row.

    A number is a token, and so is a category. Features are the row's token after each layer; the last, after
    normalisation and ReLU, is pooled. Queries, keys and values are those of the last layer.

    Raises:
      ValueError: width is no multiple of heads.
    """

    declares = Student(modalities=TABLE, offers=frozenset({"features", "pooled", "tokens", "attention"}))

    depth: Annotated[int, Integer(1, 6, unit="layers")] = 2  # transformer layers
    width: Annotated[int, Integer(8, 256, step=8, unit="numbers")] = 32  # of a token
    heads: Annotated[int, Choice(1, 2, 4, 8)] = 4  # of attention; the width is a multiple of them
    expansion: Annotated[float, Real(0.5, 3.0)] = 1.333  # units of a layer's perceptron, as a multiple of the width
    dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # probability of zeroing a unit of a perceptron in training
    attention_dropout: Annotated[float, Real(0.0, 0.5)] = 0.0  # the same of a share of attention

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads ({self.heads}), got {self.width}")

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, columns] to `Output`, with PyTorch's initialisation of linear layers."""
        return _FTTransformer(
            context.task,
            self.depth,
            self.width,
            self.heads,
            max(1, round(self.expansion * self.width)),
            (self.dropout, self.attention_dropout),
        )
