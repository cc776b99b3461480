"""Mixup (Zhang et al., ICLR 2018, arXiv 1710.09412, section 2), on images after crop and flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import NOTHING, random_crop_flip
from autokd.imaging.mixing import draw_beta, mix
from autokd.ranges import Choice
from autokd.types import IMAGE, TABLE, Augment, BuildContext, Rows, View


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """Inputs and labels are averaged with those of another sample, in a share drawn from Beta(alpha, alpha)."""

    declares = declarations.Augment(modalities=IMAGE | TABLE, any_size=True)

    alpha: Annotated[float, Choice(0.1, 0.2, 0.4, 1.0)] = 1.0  # 1: any share is as likely; small: nearly unmixed
    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # images only
    flip: Annotated[bool, Choice(True, False)] = True  # images only: mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's inputs."""
        crops = context.task.modality in IMAGE
        crop = random_crop_flip(context.task, self.padding, self.flip) if crops else NOTHING

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            partner = torch.randperm(n, generator=generator)
            share = draw_beta(generator, n, self.alpha)
            return {**crop.draw(generator, n), "partner": partner, "share": share}

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            assert partner is not None and partner_rows is not None
            own, other = crop.apply(single(view.inputs), rows), crop.apply(single(partner.inputs), partner_rows)
            share = rows["share"]
            return View(mix(own, other, share), mix(view.targets, partner.targets, share))

        return Augment(draw, apply)
