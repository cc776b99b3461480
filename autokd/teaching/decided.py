"""Which way of feeding a teacher, and which order of its outputs, is clearly better than what was assumed.

Ways and orders are found on the first samples and accepted on the others, which have chosen nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from autokd.teaching.evidence import Gain, gain
from autokd.teaching.feeding import DECIDED, Way, screened
from autokd.teaching.orders import ASSIGNED, assigned, best_order

WORTH = 3.0
"""What is taken is right at least so many times as often as always giving the commonest class, or half of the time: of
a network that knows nothing, one of many ways and orders is always a little better."""
SAMPLES_A_CLASS = 12
"""That an order without names is fitted on once it is accepted."""


class Asker(Protocol):
    """Asks a teacher about labelled samples."""

    @property
    def assumed(self) -> Way:
        """How it is fed now."""

    @property
    def labels(self) -> Tensor:
        """[N] int64, of all samples."""

    def allow(self, *, screening: bool, share: float) -> None:
        """Allow the cost of screening or of deciding, a share of the usual bound, in (0, 1]."""

    def logits(self, way: Way, samples: int) -> Tensor:
        """Return the logits [n, C] about the first samples, in the order of the data's classes."""

    def bearable(self, ways: Sequence[Way], samples: int) -> int:
        """Return how many samples, at most `samples`, may be asked about in each of some ways."""


class Ordered(NamedTuple):
    """An order of the outputs that is clearly better than the data's.

    Args:
      name: for people.
      order: [C] int64, the output that stands for each class.
      gain: on samples that it was not fitted on.
    """

    name: str
    order: Tensor
    gain: Gain


class Better(NamedTuple):
    """A way that is clearly better than another."""

    way: Way
    gain: Gain


class Judge:
    """Compares ways and orders on samples that have chosen neither.

    Args:
      asker: asks the teacher.
      classes: names, in the data's order.
      ways: that will be compared.
    """

    def __init__(self, asker: Asker, classes: Sequence[str], ways: Sequence[Way]) -> None:
        self._asker, self._classes = asker, classes
        self.fitted = screened(len(asker.labels))
        self.total = self.fitted + asker.bearable(ways, min(DECIDED, len(asker.labels) - self.fitted))
        self.labels = asker.labels[: self.total]
        held = self.labels[self.fitted :]
        self._least = min(0.5, WORTH * float(held.bincount().max()) / len(held))

    def order(self, way: Way) -> Ordered | None:
        """Return the order that is clearly better than the data's own, fitted on the first samples; None for none."""
        logits, fitted = self._asker.logits(way, self.total), self.fitted
        found = best_order(logits[:fitted], self.labels[:fitted], self._classes)
        if found is None:
            return None
        name, order = found
        better = gain(self._right(way, None), self._right(way, order))
        if not self._accepts(better):
            return None
        return Ordered(name, self._refitted(way) if name == ASSIGNED else order, better)

    def better(self, before: Way, after: Way, order: Ordered | None) -> Better | None:
        """Return a way with its gain where it is clearly better than another; None where it is not."""
        if after == before:
            return None
        outputs = None if order is None else order.order
        found = gain(self._right(before, outputs), self._right(after, outputs))
        return Better(after, found) if self._accepts(found) else None

    def _accepts(self, found: Gain) -> bool:
        return found.is_clear and found.after >= self._least

    def _right(self, way: Way, order: Tensor | None) -> Tensor:
        logits = self._asker.logits(way, self.total)[self.fitted :]
        answers = logits if order is None else logits[:, order]
        return answers.argmax(1) == self.labels[self.fitted :]

    def _refitted(self, way: Way) -> Tensor:
        """The order that fits all samples best, of many classes more of them."""
        wanted = min(len(self._asker.labels), SAMPLES_A_CLASS * len(self._classes))
        count = max(self.total, self._asker.bearable([way], wanted))
        return assigned(self._asker.logits(way, count), self._asker.labels[:count])


class Verdict(NamedTuple):
    """What is clearly better than what was assumed; None where nothing is."""

    way: Better | None
    order: Ordered | None


def decide(judge: Judge, assumed: Way, best: Way, *, reorder: bool) -> Verdict:
    """Compare the best way and the best order with what is assumed.

    Args:
      judge: compares.
      assumed: how the teacher is fed.
      best: the best way of the screening.
      reorder: whether another order may be taken with the way.
    """
    order = judge.order(best) if reorder else None
    way = judge.better(assumed, best, order)
    if way is None and best != assumed:
        order = judge.order(assumed) if reorder else None
    return Verdict(way, order)


def rows_to_ask(labelled: Tensor | None, total: int, most: int) -> Tensor:
    """Return rows of a split at random, always the same: at most `most`, of those whose label is known.

    Args:
      labelled: [N] bool; None: all labels are known.
      total: N.
      most: that are wanted.
    """
    rows = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    known = rows if labelled is None else rows[labelled[rows]]
    return known[:most]
