"""Random erasing (Zhong et al., AAAI 2020, arXiv 1708.04896, algorithm 1), after crop and flip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import random_crop_flip, scale_of
from autokd.imaging.mixing import inside, noise_like, scaled_box
from autokd.imaging.moves import where
from autokd.ranges import Choice
from autokd.types import IMAGE, Augment, BuildContext, Rows, View

_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class RandomErasing:
    """A rectangle of the image becomes uniform noise (the paper's RE-R)."""

    declares = declarations.Augment(modalities=IMAGE, any_size=True)

    probability: Annotated[float, Choice(0.25, 0.5, 0.75)] = 0.5  # share of the samples that lose a rectangle
    area: Annotated[float, Choice(0.1, 0.2, 0.4, unit="share of the image")] = 0.4  # largest; the smallest is 0.02
    aspect: Annotated[float, Choice(0.3, 0.5)] = 0.3  # smallest height / width; the largest is its inverse
    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # before the crop
    flip: Annotated[bool, Choice(True, False)] = True  # mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's image size."""
        crop = random_crop_flip(context.task, self.padding, self.flip)
        height, width = context.task.input_shape[1:]

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            box = draw_boxes(generator, n, height, width, area=(0.02, self.area), aspect=self.aspect)
            chosen = torch.rand(n, generator=generator) < self.probability
            seed = torch.randint(2**32, (n,), generator=generator)
            return {**crop.draw(generator, n), "box": box * chosen[:, None], "seed": seed}

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            images, box = crop.apply(single(view.inputs), rows), rows["box"]
            box, fill = scaled_box(box, scale_of(images, height, width)), partial(erase, grains=(height, width))
            return view._replace(inputs=where(box[:, 1] > 0, fill, images, box, rows["seed"]))

        return Augment(draw, apply)


def draw_boxes(
    generator: torch.Generator, n: int, height: int, width: int, *, area: tuple[float, float], aspect: float
) -> Tensor:
    """Draw a rectangle a sample: area and aspect uniform, place uniform, tried again while it is too large.

    Args:
      area: smallest and largest, as a share of the image.
      aspect: smallest height / width; the largest is its inverse.
    Returns:
      [n, 4] int64: top, bottom, left, right (bottom and right outside); zeros where no attempt fitted.
    """
    low, high = area
    pixels = (low + (high - low) * torch.rand(n, _ATTEMPTS, generator=generator)) * height * width
    ratio = aspect + (1 / aspect - aspect) * torch.rand(n, _ATTEMPTS, generator=generator)
    tall, wide = (pixels * ratio).sqrt().round().long(), (pixels / ratio).sqrt().round().long()
    fits = (tall > 0) & (wide > 0) & (tall < height) & (wide < width)
    first = fits.int().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    top = (torch.rand(n, generator=generator) * (height - tall + 1)).long()
    left = (torch.rand(n, generator=generator) * (width - wide + 1)).long()
    return torch.stack((top, top + tall, left, left + wide), 1) * fits.any(1, keepdim=True)


def erase(images: Tensor, box: Tensor, seed: Tensor, *, grains: tuple[int, int] | None = None) -> Tensor:
    """Fill each sample's box with uniform noise.

    Args:
      images: [B, C, H, W] in [0, 1].
      box: [B, 4] int64: top, bottom, left, right; bottom and right are outside.
      seed: [B] int64 in [0, 2**32), of the noise.
      grains: rows and columns of the noise, where these are not the image's: each is then as large as it has to be.
    """
    size = images.shape[-2:]
    if grains in (None, tuple(size)):
        noise = noise_like(images, seed)
    else:
        noise = interpolate(noise_like(images.new_empty(*images.shape[:2], *grains), seed), size=size, mode="nearest")
    return torch.where(inside(box, *size), noise, images)
