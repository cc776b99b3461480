"""Class-balanced sampling (Kang et al., Decoupling Representation and Classifier, ICLR 2020, arXiv 1910.09217, eq. 1).

There a sample is drawn with replacement, its class with a probability that goes as its number of samples to a power
q: 1 for samples as they are, 0 for classes alike, 0.5 between. Here a pass has each sample once at most: a class that
is too small for its part of a pass is in it whole, and its samples have a weight that makes up for it. A pass is so
short that this weight stays small, since a batch without such a sample counts as much as one with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Selection
from autokd.errors import ComponentError
from autokd.ranges import Real
from autokd.types import BuildContext, DrawnRows, PrepareContext
from autokd.types import Selection as Drawing

LEAST = 64
"""Samples of a pass, where the set has so many."""


def quotas(counts: Tensor, power: float = 1.0, most: float = 4.0) -> tuple[Tensor, Tensor]:
    """Return how many samples of each class a pass has, and what each of them weighs.

    >>> quotas(torch.tensor([900, 10]), most=4.0)
    (tensor([40, 10]), tensor([0.6250, 2.5000]))

    Args:
      counts: [C] samples of each class, at least one in all.
      power: 0 leaves the classes' shares as they are; 1 makes them equal.
      most: times that a class is larger in effect than it is in a pass, at most; at least 1.
    Returns:
      numbers [C] int64, at least 1 of every class that has samples and at most all, and weights [C] float32, whose mean
      over the samples of a pass is 1. A pass has `LEAST` samples at least, or all.
    """
    shares = torch.where(counts > 0, counts.double().clamp_min(1) ** (1 - power), 0.0)
    shares = shares / shares.sum()
    longest = float((most * counts[counts > 0] / shares[counts > 0]).min())
    wanted = min(int(counts.sum()), max(LEAST, int(longest))) * shares
    taken = torch.minimum(wanted.round().long().clamp_min(1), counts)
    weights = wanted / taken.clamp_min(1)
    return taken, (weights * taken.sum() / (weights * taken).sum()).float()


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """Samples of rare classes as often, or nearly as often, as those of common ones, drawn anew for every pass."""

    declares = Selection(prepared_from=())

    power: Annotated[float, Real(0.25, 1.0)] = 1.0  # 1: classes are equally common; less: only more nearly so
    most: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # times that samples of a small class count for at most

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return "classes" [N] int64, 0 where the label is not known, otherwise the class and 1."""
        known = 1 if context.labelled is None else context.labelled.long()
        return {"classes": (context.labels + 1) * known}

    def build(self, context: BuildContext) -> Drawing:
        """Return how rows are drawn; samples without a label keep their share and weigh as ever.

        Raises:
          ComponentError: nothing was prepared.
        """
        if context.artefact is None:
            raise ComponentError("selection 'balanced' needs what its `prepare` returns, and there is none")
        classes: Tensor = context.artefact["classes"]
        counts = torch.bincount(classes, minlength=context.task.num_classes + 1)
        numbers, weights = quotas(counts[1:], self.power, self.most)
        unlabelled = int(counts[0]) * int(numbers.sum()) // max(1, int(counts[1:].sum()))
        taken: list[int] = [unlabelled, *numbers.tolist()]
        by_class = torch.cat([torch.ones(1), weights])
        members = [(classes == each).nonzero().squeeze(1) for each in range(len(counts))]

        def draw(number: int, generator: torch.Generator, u: float) -> DrawnRows:
            drawn = [
                rows[torch.randperm(len(rows), generator=generator)[:count]]
                for rows, count in zip(members, taken, strict=True)
            ]
            rows = torch.cat(drawn).sort().values
            return DrawnRows(rows, by_class[classes[rows]])

        return Drawing(sum(taken), draw, redraws=True)
