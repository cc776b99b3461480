"""TrivialAugment (Müller and Hutter, ICCV 2021, arXiv 2103.10158, wide space), after crop, flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import random_crop_flip
from autokd.imaging.moves import LEVELS, Maxima, apply_moves, draw_moves, tabulate_moves
from autokd.ranges import Choice
from autokd.types import IMAGE, Augment, BuildContext, Rows, View

TRANSLATE = 32
"""Largest translation, pixels; less where the image is smaller, which it would push out of sight."""


@dataclass(frozen=True, kw_only=True)
class TrivialAugment:
    """One operation out of 14, drawn uniformly, at one of 31 magnitudes, drawn uniformly."""

    declares = declarations.Augment(modalities=IMAGE, any_size=True)

    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # before the crop
    flip: Annotated[bool, Choice(True, False)] = True  # mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's image size.

        Raises:
          ComponentError: the images have neither one nor three channels.
        """
        crop = random_crop_flip(context.task, self.padding, self.flip)
        height, width = context.task.input_shape[1:]
        most = min(TRANSLATE, height), min(TRANSLATE, width)
        maxima = Maxima(0.99, most, rotate=135, enhance=0.99, bits=6)
        table = torch.cat([tabulate_moves(context.task, maxima, level) for level in range(LEVELS)])

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            return crop.draw(generator, n) | draw_moves(generator, n, 1, table)

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            return view._replace(inputs=apply_moves(crop.apply(single(view.inputs), rows), rows, height, width))

        return Augment(draw, apply)
