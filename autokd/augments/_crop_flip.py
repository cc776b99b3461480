"""Zero-padded random crop and horizontal flip (He et al., CVPR 2016, arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import random_crop_flip
from autokd.ranges import Choice
from autokd.types import IMAGE, Augment, BuildContext, Rows, View


@dataclass(frozen=True, kw_only=True)
class CropFlip:
    """Random crop from the zero-padded image, then a mirror image for half of the samples."""

    declares = declarations.Augment(modalities=IMAGE, any_size=True)

    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # on each side
    flip: Annotated[bool, Choice(True, False)] = True  # mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's image size."""
        crop = random_crop_flip(context.task, self.padding, self.flip)

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            return crop.draw(generator, n)

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            return view._replace(inputs=crop.apply(single(view.inputs), rows))

        return Augment(draw, apply)
