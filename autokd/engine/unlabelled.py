"""Samples without labels in training: a share of every batch, drawn from all that there are.

The samples that they are drawn from follow the training set: rows N to N + U - 1 of one set. A pass takes its rows of
the training set as the selection says, and beside them so many of the others that these are the asked share, none
twice. Passes go through the others in an order that depends on the view seed alone, then in a new one. An epoch is as
many samples as the training set has, with and without them, so runs with and without them cost the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from autokd.data import Dataset
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec, needs_no_labels
from autokd.types import DrawnRows


class Pool(NamedTuple):
    """The samples without labels of a run.

    Args:
      first: the first of their rows, N.
      size: how many there are, U, at least 1.
      taken: how many a pass takes, at most U.
    """

    first: int
    size: int
    taken: int

    @property
    def end(self) -> int:
        """Rows of the whole set, N + U."""
        return self.first + self.size

    def beside(self, drawn: DrawnRows | None, number: int, view_seed: int) -> DrawnRows:
        """Return the rows of a pass.

        Args:
          drawn: its rows of the training set; None: all, all alike.
          number: of the pass.
          view_seed: of the run.
        """
        rows = torch.arange(self.first) if drawn is None else drawn.rows
        turn, place = divmod(number, self.size // self.taken)
        order = torch.randperm(self.size, generator=generator(derive(view_seed, "unlabelled"), "turn", turn))
        others = order[place * self.taken : (place + 1) * self.taken].sort().values + self.first
        weights = None if drawn is None else drawn.weights
        weights = None if weights is None else torch.cat([weights, torch.ones(self.taken)])
        return DrawnRows(torch.cat([rows, others]), weights)


def uses_unlabelled(spec: PipelineSpec) -> bool:
    """Return whether a pipeline is trained on samples without labels, where there are some: a loss needs no labels."""
    return bool(spec.unlabelled) and any(map(needs_no_labels, spec.losses.values()))


def pool_of(data: Dataset, spec: PipelineSpec, selected: int) -> Pool | None:
    """Return the samples without labels that a pipeline is trained on; None for none.

    Args:
      data: the dataset.
      spec: the pipeline.
      selected: samples of the training set in a pass. Where there are fewer others than the share asks for, all are
        taken, and the share is less: none is seen more often than a sample of the training set.
    """
    if data.unlabelled is None or not spec.unlabelled or not uses_unlabelled(spec):
        return None
    wanted = round(selected * spec.unlabelled / (1 - spec.unlabelled))
    return Pool(len(data.train), len(data.unlabelled), min(max(1, wanted), len(data.unlabelled)))


def pieces_of(rows: Tensor, first: int, steps: int, shuffle: torch.Generator) -> tuple[Tensor, ...]:
    """Cut the rows of a pass into batches, near-equal and each with about the same share of samples without labels.

    >>> rows, shuffle = torch.arange(10), torch.Generator().manual_seed(0)
    >>> [(len(piece), int((piece >= 6).sum())) for piece in pieces_of(rows, 6, 4, shuffle)]
    [(3, 1), (3, 1), (2, 1), (2, 1)]

    Args:
      rows: [n] int64, those from `first` on have no label.
      first: see `Pool`.
      steps: how many batches.
      shuffle: orders each kind.
    """
    order = rows[torch.randperm(len(rows), generator=shuffle)]
    without = order >= first
    pieces = zip(order[~without].tensor_split(steps), reversed(order[without].tensor_split(steps)), strict=True)
    return tuple(torch.cat(pair)[torch.randperm(sum(map(len, pair)), generator=shuffle)] for pair in pieces)


def partners_alike(partner: Tensor, rows: Tensor, first: int) -> Tensor:
    """Return whom each sample is mixed with: one with a label with such a one, and one without with one without.

    Args:
      partner: [N + U] int64, at random.
      rows: [n] int64 of the pass, in ascending order.
      first: see `Pool`.
    """
    labelled, others = rows[rows < first], rows[rows >= first]
    return torch.cat([labelled[partner[:first] % len(labelled)], others[partner[first:] % len(others)]])
