"""Gaussian noise on the columns of a table (Bishop, Neural Computation 1995, "Training with noise is Tikhonov …")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from autokd import declarations
from autokd.batching import single
from autokd.ranges import Choice
from autokd.types import TABLE, Augment, BuildContext, Rows, View


@dataclass(frozen=True, kw_only=True)
class FeatureNoise:
    """Independent Gaussian noise is added to every column."""

    declares = declarations.Augment(modalities=TABLE)

    std: Annotated[float, Choice(0.02, 0.05, 0.1, 0.2, 0.4)] = 0.1  # standard deviation, in that of the column

    def build(self, context: BuildContext) -> Augment:
        """Return the policy for the task's columns."""
        columns = context.task.input_shape[0]
        scale = self.std * torch.tensor(context.task.std or (1.0,))

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            return {"noise": torch.randn(n, columns, generator=generator) * scale}

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            return view._replace(inputs=single(view.inputs) + rows["noise"])

        return Augment(draw, apply)
