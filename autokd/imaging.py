"""Batched image operations whose random parameters differ by sample, and the mixing of two samples.

Images are [B, C, H, W] float32 in [0, 1]; a "level" is one of the 256 steps of an 8-bit image. Operations draw nothing
themselves: every parameter is a tensor with first dimension B, and sample i of a result depends on sample i of the
arguments only, bit for bit. That is why sums run over integers and sines are taken in plain Python: the rounding of
vectorised floating-point code varies with a sample's place in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autokd.errors import ComponentError
from autokd.types import Rows, Task

ImageOp = Callable[..., Tensor]
Matrix = tuple[float, float, float, float, float, float]
LEVELS = 31
"""Number of magnitudes of RandAugment and TrivialAugment: 0 (weakest) to 30."""


class Geometry(NamedTuple):
    """Random crop and flip, the first step of the image policies.

    Args:
      draw: (generator, n) -> rows.
      apply: (inputs, rows) -> inputs of the same shape.
    """

    draw: Callable[[torch.Generator, int], dict[str, Tensor]]
    apply: Callable[[Tensor, Rows], Tensor]


def geometry(task: Task, padding: float, flip: bool) -> Geometry:
    """Return the random crop and flip for a task; for inputs that are not images, one that changes nothing.

    Args:
      task: the task.
      padding: zeros added on each side before the crop, as a share of that side (rounded up to whole pixels).
      flip: mirror left and right with probability 1/2.
    """
    if task.modality != "image":
        return Geometry(lambda generator, n: {}, lambda inputs, rows: inputs)
    _, height, width = task.input_shape
    margins = math.ceil(padding * height), math.ceil(padding * width)

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        shifts = [torch.randint(0, 2 * margin + 1, (n,), generator=generator) for margin in margins]
        return {"shift": torch.stack(shifts, 1), "flip": (torch.rand(n, generator=generator) < 0.5) & flip}

    return Geometry(draw, lambda inputs, rows: crop_flip(inputs, rows["shift"], rows["flip"], margins))


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


def mix(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return share * first + (1 - share) * second.

    Args:
      first, second: [B, ...].
      share: [B], in [0, 1].
    """
    share = share.reshape(-1, *[1] * (first.dim() - 1))
    return first * share + second * (1 - share)


def draw_beta(generator: torch.Generator, n: int, alpha: float) -> Tensor:
    """Return n draws from Beta(alpha, alpha), [n] float32."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n).astype(np.float32))


def inside(box: Tensor, height: int, width: int) -> Tensor:
    """Return which pixels lie in each sample's box.

    Args:
      box: [B, 4] int64: top, bottom, left, right; bottom and right are outside.
    Returns:
      [B, 1, H, W] bool.
    """
    top, bottom, left, right = box[:, None, :, None].unbind(2)
    row, column = torch.arange(height, device=box.device), torch.arange(width, device=box.device)
    in_rows, in_columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return in_rows[..., :, None] & in_columns[..., None, :]


def noise_like(images: Tensor, seed: Tensor) -> Tensor:
    """Return independent uniform 8-bit noise for every value of the images, from an integer hash of seed and place.

    Args:
      images: [B, C, H, W], for the shape.
      seed: [B] int64 in [0, 2**32).
    """
    place = torch.arange(images[0].numel(), device=images.device) * 0x9E3779B1
    value = (seed[:, None] + place) & 0xFFFFFFFF
    for _ in range(2):
        value = ((value ^ (value >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return ((value >> 16) & 255).view(images.shape).to(images.dtype) / 255


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


def gray(images: Tensor) -> Tensor:
    """Return the luminance [B, 1, H, W] (ITU-R 601 weights); one channel is its own luminance."""
    if images.shape[1] == 1:
        return images
    return images[:, :1] * 0.2989 + images[:, 1:2] * 0.587 + images[:, 2:] * 0.114


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black; factor [B, 1, 1, 1] >= 0, 1 changes nothing."""
    return (images * factor).clamp(0, 1)


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the luminance; one channel stays as it is."""
    return images if images.shape[1] == 1 else _blend(images, gray(images), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean luminance."""
    fine = (gray(images) * 2**16).round().to(torch.int32)
    mean = fine.sum((1, 2, 3), keepdim=True).to(images.dtype) / (2**16 * fine[0].numel())
    return _blend(images, mean, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with a smoothed image (3 x 3, centre 5, others 1, over 13); the border stays as it is."""
    columns = images[..., :-2] + images[..., 1:-1] + images[..., 2:]
    box = columns[..., :-2, :] + columns[..., 1:-1, :] + columns[..., 2:, :]
    centre = images[..., 1:-1, 1:-1]
    result = images.clone()
    result[..., 1:-1, 1:-1] = _blend(centre, (box + centre * 4) / 13, factor)
    return result


def posterize(images: Tensor, step: Tensor) -> Tensor:
    """Round down to multiples of step levels, [B, 1, 1, 1]; 2**(8 - bits) keeps that many bits."""
    return (_levels(images) / step).floor() * step / 255


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at or above the threshold, [B, 1, 1, 1], in levels."""
    return torch.where(_levels(images) >= threshold, 1 - images, images)


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to [0, 1]; a flat channel stays as it is."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, ((images - low) / span.clamp_min(1e-12)).clamp(0, 1), images)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Equalise each channel's histogram of levels as Pillow does; one with too few pixels stays as it is.

    With k(v) pixels of a channel below level v, and step = k(highest level) // 255, level v becomes
    (k(v) + step // 2) // step; the channel stays as it is where step is 0.
    """
    levels = _levels(images).flatten(2).long()
    count = levels.new_zeros(*levels.shape[:2], 256).scatter_add_(2, levels, torch.ones_like(levels))
    below = (count.cumsum(2) - count).gather(2, levels)
    step = below.amax(2, keepdim=True) // 255
    equalized = ((below + step // 2) // step.clamp_min(1)).clamp(0, 255)
    return (torch.where(step > 0, equalized, levels).to(images.dtype) / 255).view_as(images)


def _levels(images: Tensor) -> Tensor:
    return (images * 255).round()


def _blend(images: Tensor, base: Tensor, factor: Tensor) -> Tensor:
    return (images * factor + base * (1 - factor)).clamp(0, 1)


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
PHOTOMETRIC: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "color": color,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
}
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


def moves(task: Task, maxima: Maxima, level: int) -> Tensor:
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
    """Draw `count` operations a sample, uniformly from the rows of a table made by `moves`."""
    drawn = table[torch.randint(len(table), (n, count), generator=generator)]
    return {"op": drawn[..., 0].long(), "strength": drawn[..., 1], "matrix": drawn[..., 2:]}


def apply_moves(images: Tensor, rows: Rows) -> Tensor:
    """Apply the drawn operations, one after the other.

    Args:
      images: [B, C, H, W].
      rows: op [B, count], strength [B, count], matrix [B, count, 6].
    """
    steps = zip(rows["op"].unbind(1), rows["strength"].unbind(1), rows["matrix"].unbind(1), strict=True)
    for op, strength, matrix in steps:
        images = where((op > 0) & (op <= len(GEOMETRIC)), affine, images, matrix)
        for name, operation in PHOTOMETRIC.items():
            images = where(op == OPS.index(name), operation, images, strength[:, None, None, None])
    return images
