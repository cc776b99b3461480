"""Repeated random sampling (RS2, Okanovic et al., ICLR 2024, arXiv 2305.18424): a random share of the samples.

RS2 draws a new share for every pass, without replacement inside it, which its authors found better than every way to
choose a fixed one. A share that is drawn once and kept is the usual control for such ways, and needs the teacher's
answers to it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd.declarations import Selection
from autokd.ranges import Choice, Real
from autokd.seeds import generator as generator_of
from autokd.types import BuildContext, DrawnRows
from autokd.types import Selection as Drawing


@dataclass(frozen=True, kw_only=True)
class RandomFraction:
    """A random share of the samples, drawn anew for every pass or once."""

    declares = Selection()

    share: Annotated[float, Real(0.1, 0.9, unit="share of the set")] = 0.5  # of the samples in a pass
    redraw: Annotated[bool, Choice(True, False)] = True  # for every pass; else the same samples in all runs

    def build(self, context: BuildContext) -> Drawing:
        """Return how rows are drawn: `share` of them, rounded down, at least one."""
        train, size = context.task.train_size, max(1, int(self.share * context.task.train_size))

        def draw(number: int, generator: torch.Generator, u: float) -> DrawnRows:
            source = generator if self.redraw else generator_of(0, "random fraction")
            return DrawnRows(torch.randperm(train, generator=source)[:size].sort().values)

        return Drawing(size, draw, redraws=self.redraw)
