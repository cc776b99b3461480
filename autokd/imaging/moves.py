"""RandAugment's and TrivialAugment's operations: tables of all of them, draws from a table, and their application."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from autokd.errors import ComponentError
from autokd.imaging.colour import PHOTOMETRIC
from autokd.imaging.geometry import GEOMETRIC, affine, scale_of
from autokd.types import Rows, Task

ImageOp = Callable[..., Tensor]
LEVELS = 31
"""Number of magnitudes of RandAugment and TrivialAugment: 0 (weakest) to 30."""
OPS: tuple[str, ...] = ("identity", *GEOMETRIC, *PHOTOMETRIC)
"""The 14 operations of RandAugment and TrivialAugment; an operation's place is its code in a table."""


class Maxima(NamedTuple):
    """What the strongest magnitude means.

    Args:
      shear: slope.
      translate: (down, right), pixels.
      rotate: degrees.
      enhance: distance of the blending factor of brightness, color, contrast and sharpness from 1.
      bits: bits that posterize takes away.
    """

    shear: float
    translate: tuple[float, float]
    rotate: float
    enhance: float
    bits: int


def tabulate_moves(task: Task, maxima: Maxima, level: int) -> Tensor:
    """Return all operations at one magnitude, each once in the positive and once in the negative direction.

    Operations without a direction appear twice, so that a uniform draw of a row is a uniform draw of an operation.

    Args:
      task: a task with images of one or three channels.
      level: magnitude, 0 to 30.
    Returns:
      [28, 8]: code, strength (in the unit of the operation), matrix for `affine`.
    Raises:
      ComponentError: the images have another number of channels.
    """
    channels, height, width = task.input_shape
    if channels not in (1, 3):
        raise ComponentError(
            f"colour operations need images of 1 or 3 channels, {task.dataset} has {channels}; use crop_flip or cutmix"
        )
    rows = []
    for sign in (1, -1):
        strengths = _strengths(maxima, level / (LEVELS - 1), sign)
        for code, name in enumerate(OPS):
            strength = strengths.get(name, 0.0)
            matrix = GEOMETRIC[name](strength, height, width) if name in GEOMETRIC else (1, 0, 0, 0, 1, 0)
            rows.append((code, strength, *matrix))
    return torch.tensor(rows, dtype=torch.float32)


def _strengths(maxima: Maxima, share: float, sign: int) -> dict[str, float]:
    """Strength by operation, in the operation's unit, at a share of the maxima."""
    down, right = (sign * math.floor(share * most + 1e-6) for most in maxima.translate)
    factor = 1 + sign * share * maxima.enhance
    return {
        "shear_x": sign * share * maxima.shear,
        "shear_y": sign * share * maxima.shear,
        "translate_x": right,
        "translate_y": down,
        "rotate": sign * share * maxima.rotate,
        **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), factor),
        "posterize": 2.0 ** (8 - round(8 - share * maxima.bits)),
        "solarize": 255 * (1 - share),
    }


def draw_moves(generator: torch.Generator, n: int, count: int, table: Tensor) -> dict[str, Tensor]:
    """Draw `count` operations a sample, uniformly from the rows of a table made by `tabulate_moves`."""
    drawn = table[torch.randint(len(table), (n, count), generator=generator)]
    return {"op": drawn[..., 0].long(), "strength": drawn[..., 1], "matrix": drawn[..., 2:]}


def apply_moves(images: Tensor, rows: Rows, height: int, width: int) -> Tensor:
    """Apply the drawn operations, one after the other.

    Args:
      images: [B, C, H, W].
      rows: op [B, count], strength [B, count], matrix [B, count, 6].
      height, width: of the images that the operations were tabulated for; in others distances grow with the side.
    """
    down, right = scale_of(images, height, width)
    matrices = rows["matrix"]
    if (down, right) != (1.0, 1.0):
        factors = (1, right / down, right, down / right, 1, down)
        matrices = torch.stack([entry * by for entry, by in zip(matrices.unbind(2), factors, strict=True)], 2)
    steps = zip(rows["op"].unbind(1), rows["strength"].unbind(1), matrices.unbind(1), strict=True)
    for op, strength, matrix in steps:
        images = where((op > 0) & (op <= len(GEOMETRIC)), affine, images, matrix)
        for name, operation in PHOTOMETRIC.items():
            images = where(op == OPS.index(name), operation, images, strength[:, None, None, None])
    return images


def where(mask: Tensor, operation: ImageOp, images: Tensor, *arguments: Tensor) -> Tensor:
    """Return the images, with those of the mask replaced by operation(images, *arguments).

    On the CPU the operation sees the chosen samples only. Elsewhere it sees all: picking some would make the host wait.

    Args:
      mask: [B] bool.
      operation: (images, *arguments) -> images, each sample on its own.
      images: [B, C, H, W].
      arguments: tensors with first dimension B.
    """
    if images.device.type != "cpu":
        return torch.where(mask[:, None, None, None], operation(images, *arguments), images)
    index = mask.nonzero()[:, 0]
    if len(index) == 0:
        return images
    return images.index_copy(0, index, operation(images[index], *(argument[index] for argument in arguments)))
