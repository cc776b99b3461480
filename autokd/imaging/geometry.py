"""Where pixels come from: crops and flips, and affine maps of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from autokd.types import Rows, Task

Matrix = tuple[float, float, float, float, float, float]


class CropFlip(NamedTuple):
    """A random crop and flip, the first step of the image policies.

    Args:
      draw: (generator, n) -> rows.
      apply: (inputs, rows) -> inputs of the same shape.
    """

    draw: Callable[[torch.Generator, int], dict[str, Tensor]]
    apply: Callable[[Tensor, Rows], Tensor]


NOTHING = CropFlip(lambda generator, n: {}, lambda inputs, rows: inputs)
"""Changes nothing: for inputs that are no images."""


def random_crop_flip(task: Task, padding: float, flip: bool) -> CropFlip:
    """Return the random crop and flip for a task of images.

    Args:
      task: the task.
      padding: zeros added on each side before the crop, as a share of that side (rounded up to whole pixels).
      flip: mirror left and right with probability 1/2.
    """
    _, height, width = task.input_shape
    margins = math.ceil(padding * height), math.ceil(padding * width)

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        shifts = [torch.randint(0, 2 * margin + 1, (n,), generator=generator) for margin in margins]
        return {"shift": torch.stack(shifts, 1), "flip": (torch.rand(n, generator=generator) < 0.5) & flip}

    def apply(images: Tensor, rows: Rows) -> Tensor:
        scale = scale_of(images, height, width)
        if scale == (1.0, 1.0):
            return crop_flip(images, rows["shift"], rows["flip"], margins)
        larger = round(scale[0] * margins[0]), round(scale[1] * margins[1])
        shift = torch.stack(
            [(rows["shift"][:, i] * scale[i]).round().long().clamp_max(2 * larger[i]) for i in range(2)], 1
        )
        return crop_flip(images, shift, rows["flip"], larger)

    return CropFlip(draw, apply)


def scale_of(images: Tensor, height: int, width: int) -> tuple[float, float]:
    """Return how many times as high and as wide as a task's images other images [B, C, H, W] are."""
    return images.shape[-2] / height, images.shape[-1] / width


def crop_flip(images: Tensor, shift: Tensor, flip: Tensor, margins: tuple[int, int]) -> Tensor:
    """Pad with zeros, crop back to the old size, then mirror.

    Args:
      images: [B, C, H, W].
      shift: [B, 2] int64, row and column in the padded image where the crop starts.
      flip: [B] bool, mirror left and right.
      margins: zeros added above and below, left and right, in pixels.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (margins[1], margins[1], margins[0], margins[0]))
    column = torch.arange(width, device=images.device)
    rows = torch.arange(height, device=images.device) + shift[:, :1]
    columns = torch.where(flip[:, None], width - 1 - column, column) + shift[:, 1:]
    index = (rows[:, :, None] * padded.shape[-1] + columns[:, None, :]).flatten(1)
    index = index[:, None].expand(-1, images.shape[1], -1)
    return padded.flatten(2).gather(2, index).view_as(images)


def affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Sample the images at affinely mapped places, nearest neighbour, zeros outside.

    Args:
      images: [B, C, H, W].
      matrix: [B, 6]: an output pixel (x, y), measured from the image centre, shows the input at
        (m0 x + m1 y + m2, m3 x + m4 y + m5).
    """
    height, width = images.shape[-2:]
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
    y = (torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2)[:, None]
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    grid = torch.stack(((a * x + b * y + c) / (width / 2), (d * x + e * y + f) / (height / 2)), -1)
    return functional.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def shear_x(slope: float, height: int, width: int) -> Matrix:
    """Return the matrix for `affine` that shears rows against each other; the top edge stays."""
    return (1, slope, slope * height / 2, 0, 1, 0)


def shear_y(slope: float, height: int, width: int) -> Matrix:
    """Return the matrix for `affine` that shears columns against each other; the left edge stays."""
    return (1, 0, 0, slope, 1, slope * width / 2)


def translate_x(pixels: float, height: int, width: int) -> Matrix:
    """Return the matrix for `affine` that moves the image to the right."""
    return (1, 0, -pixels, 0, 1, 0)


def translate_y(pixels: float, height: int, width: int) -> Matrix:
    """Return the matrix for `affine` that moves the image down."""
    return (1, 0, 0, 0, 1, -pixels)


def rotate(degrees: float, height: int, width: int) -> Matrix:
    """Return the matrix for `affine` that turns the image counter-clockwise about its centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (cosine, -sine, 0, sine, cosine, 0)


GEOMETRIC: Mapping[str, Callable[[float, int, int], Matrix]] = {
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
}
