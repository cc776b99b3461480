"""CutMix (Yun et al., ICCV 2019, arXiv 1905.04899, equations 1 and 2), after crop and flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import random_crop_flip, scale_of
from autokd.imaging.mixing import draw_beta, inside, mix, scaled_box
from autokd.ranges import Choice
from autokd.types import IMAGE, Augment, BuildContext, Rows, View


@dataclass(frozen=True, kw_only=True)
class CutMix:
    """A rectangle of the image comes from another sample, and the labels are mixed by area."""

    declares = declarations.Augment(modalities=IMAGE, any_size=True)

    probability: Annotated[float, Choice(0.5, 1.0)] = 0.5  # share of the samples that are mixed
    alpha: Annotated[float, Choice(0.5, 1.0)] = 1.0  # 1: every area is as likely; less: small or large ones
    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # before the crop
    flip: Annotated[bool, Choice(True, False)] = True  # mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's image size."""
        crop = random_crop_flip(context.task, self.padding, self.flip)
        height, width = context.task.input_shape[1:]

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            partner = torch.randperm(n, generator=generator)
            box = draw_boxes(generator, n, height, width, self.alpha)
            chosen = torch.rand(n, generator=generator) < self.probability
            return {**crop.draw(generator, n), "partner": partner, "box": box * chosen[:, None]}

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            assert partner is not None and partner_rows is not None
            own, other = crop.apply(single(view.inputs), rows), crop.apply(single(partner.inputs), partner_rows)
            share = kept_share(rows["box"], height, width)
            box = scaled_box(rows["box"], scale_of(own, height, width))
            inputs = torch.where(inside(box, *own.shape[-2:]), other, own)
            return View(inputs, mix(view.targets, partner.targets, share))

        return Augment(draw, apply)


def draw_boxes(generator: torch.Generator, n: int, height: int, width: int, alpha: float) -> Tensor:
    """Draw a rectangle a sample: area 1 - Beta(alpha, alpha) of the image, its centre uniform, cut at the image's edge.

    Returns:
      [n, 4] int64: top, bottom, left, right (bottom and right outside).
    """
    side = (1 - draw_beta(generator, n, alpha)).sqrt()
    edges = []
    for length in (height, width):
        half = (side * length).long() // 2
        centre = torch.randint(length, (n,), generator=generator)
        edges += [(centre - half).clamp_min(0), (centre + half).clamp_max(length)]
    return torch.stack(edges, 1)


def kept_share(box: Tensor, height: int, width: int) -> Tensor:
    """Return the share of the image outside the box, [B]; box [B, 4]: top, bottom, left, right."""
    top, bottom, left, right = box.unbind(1)
    return 1 - ((bottom - top) * (right - left)).to(torch.float32) / (height * width)
