"""Vision transformer (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929) with what AutoFormer searches (ICCV 2021).

Patches are tokens; layers normalise, attend, normalise, and pass a perceptron with GELU. As in AutoFormer (Chen et al.,
arXiv 2107.00651, section 3.2) width, depth, heads and the perceptron's ratio are searched, a head has a width of its
own whatever the tokens have, so that all combinations exist, and the answer reads the mean of the tokens. Patches are
as large as asked for images up to 64 pixels, twice that up to 128 and so on, and never over half of the side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Student
from autokd.ranges import Choice, Integer, Real
from autokd.students.layers import patch_side, thirds
from autokd.types import IMAGE, BuildContext, Output, Task


class _Attention(nn.Module):
    """Multi-head self-attention that shows its queries, keys and values, [B, heads, N, d] each."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.form, self.scale = (3, heads, head_width), 1 / math.sqrt(head_width)
        self.qkv, self.out = nn.Linear(width, 3 * heads * head_width), nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        queries, keys, values = self.qkv(x).unflatten(2, self.form).permute(2, 0, 3, 1, 4).unbind(0)
        shares = torch.matmul(queries * self.scale, keys.transpose(2, 3)).softmax(3)
        mixed = torch.matmul(shares, values).transpose(1, 2)
        joined = mixed.reshape(x.shape[0], x.shape[1], self.out.in_features)
        return self.out(joined), (queries, keys, values)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), _Attention(width, *heads)
        self.norm2 = nn.LayerNorm(width)
        self.change = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        mixed, states = self.attention(self.norm1(x))
        x = x + mixed
        return x + self.change(self.norm2(x)), states


class _ViT(nn.Module):
    def __init__(self, task: Task, depth: int, width: int, heads: tuple[int, int], hidden: int, patch: int) -> None:
        super().__init__()
        side = patch_side(patch, min(task.input_shape[1:]))
        self.grid = (task.input_shape[1] // side, task.input_shape[2] // side)
        self.patches = nn.Conv2d(task.input_shape[0], width, side, side)
        self.places = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, math.prod(self.grid), width), std=0.02))
        self.layers = nn.ModuleList(_Layer(width, heads, hidden) for _ in range(depth))
        self.shown = thirds(depth)
        self.last = nn.LayerNorm(width)
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Tensor) -> Output:
        x = self.patches(x)
        x = x.reshape(x.shape[0], x.shape[1], self.places.shape[1]).transpose(1, 2) + self.places
        tokens: list[Tensor] = []
        states: tuple[Tensor, ...] = ()
        for layer in self.layers:
            x, states = layer(x)
            tokens.append(x)
        last = self.last(x)
        shown = [*(tokens[index] for index in self.shown[:-1]), last]
        features = tuple(each.transpose(1, 2).unflatten(2, self.grid) for each in shown)
        pooled = last.mean(1)
        return Output(self.fc(pooled), features, pooled, tuple(tokens), states)


@dataclass(frozen=True, kw_only=True)
class ViT:
    """Transformer over the patches of an image; tokens are what its layers give, one a patch.

    Features are the tokens as maps, after each third of the layers, the last of them normalised. Queries, keys and
    values are those of the last layer.
    """

    declares = Student(modalities=IMAGE, offers=frozenset({"features", "pooled", "tokens", "attention"}))

    depth: Annotated[int, Integer(1, 14, unit="layers")] = 4  # 12 to 16 in AutoFormer
    width: Annotated[int, Integer(16, 256, step=16, unit="numbers")] = 48  # of a token; 192 to 624 there
    heads: Annotated[int, Integer(1, 8)] = 3  # of attention; 3 to 10 there
    ratio: Annotated[float, Real(1.0, 4.0)] = 2.0  # units of a layer's perceptron over the width; 3 to 4 there
    patch: Annotated[int, Choice(2, 4, 8, unit="pixels")] = 4  # side of a patch; 16 there, for 224 pixels
    head_width: int = 16  # of a head's queries, keys and values; 64 there

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, with PyTorch's initialisation."""
        return _ViT(
            context.task,
            self.depth,
            self.width,
            (self.heads, self.head_width),
            max(1, round(self.ratio * self.width)),
            self.patch,
        )
