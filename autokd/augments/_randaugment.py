"""RandAugment (Cubuk et al., NeurIPS 2020, arXiv 1909.13719, section 3), after crop and flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd import declarations
from autokd.batching import single
from autokd.imaging.geometry import random_crop_flip
from autokd.imaging.moves import Maxima, apply_moves, draw_moves, tabulate_moves
from autokd.ranges import Choice
from autokd.types import IMAGE, Augment, BuildContext, Rows, View

TRANSLATE = 150 / 331
"""Largest translation, as a share of the side: 150 pixels of the 331 that AutoAugment's space was made for."""


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """A few operations out of 14 in sequence, drawn uniformly with replacement, all at one magnitude."""

    declares = declarations.Augment(modalities=IMAGE, any_size=True)

    num_ops: Annotated[int, Choice(1, 2, 3)] = 2  # operations in sequence, the paper's N
    magnitude: Annotated[int, Choice(3, 6, 9, 12, 15)] = 9  # of 30, the paper's M
    padding: Annotated[float, Choice(0.0, 0.0625, 0.125, 0.25, unit="share of the side")] = 0.125  # before the crop
    flip: Annotated[bool, Choice(True, False)] = True  # mirror left and right for half of the samples

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's image size.

        Raises:
          ComponentError: the images have neither one nor three channels.
        """
        crop = random_crop_flip(context.task, self.padding, self.flip)
        height, width = context.task.input_shape[1:]
        maxima = Maxima(0.3, (TRANSLATE * height, TRANSLATE * width), rotate=30, enhance=0.9, bits=4)
        table = tabulate_moves(context.task, maxima, self.magnitude)

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            return crop.draw(generator, n) | draw_moves(generator, n, self.num_ops, table)

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            return view._replace(inputs=apply_moves(crop.apply(single(view.inputs), rows), rows, height, width))

        return Augment(draw, apply)
