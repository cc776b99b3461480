"""What brings one network's features to the shape of the other's; trained with the student, never part of it."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from autokd.errors import ComponentError
from autokd.networks.pooling import average_pool, pooling_matrix

Shape = tuple[int, ...]


class Resize(nn.Module):
    """Average pooling to any size, smaller or larger, as two fixed matrices: deterministic on every device.

    Args:
      before, after: (height, width).
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Shape, after: Shape) -> None:
        super().__init__()
        rows, columns = (pooling_matrix(n, m).float() for n, m in zip(before, after, strict=True))
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, c, *before] to [B, c, *after]."""
        return self.rows @ x @ self.columns.T


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that uses its running statistics where a batch holds one value a channel."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [B, c, h, w]."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def pool_tokens(tokens: Tensor, count: int) -> Tensor:
    """Bring [B, N, d] tokens to `count` of them: average pooling of the square grid that they form.

    Tokens in front of the grid (class and distillation tokens) are left out, unless the numbers agree.
    """
    if tokens.shape[1] == count:
        return tokens
    side, target = grid_side(tokens.shape[1]), grid_side(count)
    grid = tokens[:, -(side**2) :].transpose(1, 2).reshape(len(tokens), -1, side, side)
    return average_pool(grid, (target, target)).flatten(2).transpose(1, 2)


def grid_side(count: int) -> int:
    """Return the side of the square grid in `count` tokens, of which up to two may stand before it.

    Raises:
      ComponentError: there is none.
    """
    side = math.isqrt(count)
    if side == 0 or count - side**2 > 2:
        raise ComponentError(
            f"{count} tokens form no square grid (with up to two tokens before it), so they cannot be resized; "
            "use networks with equally many tokens"
        )
    return side


def to_smaller(student_map: Tensor, teacher_map: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool the larger of two maps [B, c, h, w] to the smaller one's height and width."""
    size = tuple(min(pair) for pair in zip(student_map.shape[2:], teacher_map.shape[2:], strict=True))
    return average_pool(student_map, size), average_pool(teacher_map, size)


def regressor(student: Shape, teacher: Shape, *, relu: bool) -> nn.Module:
    """Return what brings features of one shape to another, as FitNets do.

    Linear for vectors; convolution, batch normalisation (unless a map is one pixel) and ReLU for maps.

    Args:
      student, teacher: shape of one sample's features: (c, h, w), or (d,) in both.
      relu: end a regressor of maps in a ReLU.
    """
    if len(student) == 1:
        return nn.Linear(student[0], teacher[0])
    one_pixel = teacher[1] * teacher[2] == 1
    norm = [] if one_pixel else [nn.BatchNorm2d(teacher[0])]
    return nn.Sequential(*_convolution(student, teacher, bias=one_pixel), *norm, *([nn.ReLU()] if relu else []))


def pointwise(inputs: int, outputs: int, *, maps: bool, bias: bool = True) -> nn.Module:
    """Return a linear layer over channels: a 1x1 convolution for maps, a linear layer for vectors and tokens."""
    return nn.Conv2d(inputs, outputs, 1, bias=bias) if maps else nn.Linear(inputs, outputs, bias=bias)


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return a perceptron with one hidden layer of ReLUs."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _convolution(student: Shape, teacher: Shape, *, bias: bool) -> list[nn.Module]:
    """Layers from a student's map to a teacher's, for every ratio of their sizes."""
    before, after = student[1:], teacher[1:]
    if before == tuple(2 * size for size in after):
        return [nn.Conv2d(student[0], teacher[0], 3, stride=2, padding=1, bias=bias)]
    if after == tuple(2 * size for size in before):
        return [nn.ConvTranspose2d(student[0], teacher[0], 4, stride=2, padding=1, bias=bias)]
    resize: list[nn.Module] = [] if before == after else [Resize(before, after)]
    return [*resize, nn.Conv2d(student[0], teacher[0], 1, bias=bias)]
