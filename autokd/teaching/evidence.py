"""Whether one way of asking a teacher is clearly better than another, and whether it knows more than guessing."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import bdtrc
from torch import Tensor

ALPHA = 0.01
"""Chance of a way that is no better to be called clearly better; the samples that decide have chosen nothing."""
GUESSING = 0.05
"""Chance of a teacher that knows nothing to pass for one that knows something."""
LITTLE, TWICE = 0.03, 2.0
"""Cohen's kappa below which a teacher knows hardly anything, unless it is right twice as often as guesses: what an
untrained network makes of an image has a little to do with its class, too."""
PERMUTATIONS = 999
_Z = 1.959964


class Gain(NamedTuple):
    """By how much one way is better than another.

    Args:
      before, after: share of right answers.
      low, high: 95 % interval of the difference (Agresti and Min, Statistics in Medicine 2005).
      p: of the exact one-sided test of McNemar.
      n: samples.
    """

    before: float
    after: float
    low: float
    high: float
    p: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the second way is clearly better."""
        return self.p < ALPHA and self.low > 0


def gain(before: Tensor, after: Tensor) -> Gain:
    """Compare two ways by whether each sample is right, [n] bool, n at least 1.

    >>> found = gain(torch.tensor([True] * 5 + [False] * 15), torch.tensor([True] * 20))
    >>> found.is_clear, round(found.after - found.before, 2)
    (True, 0.75)
    """
    n = len(before)
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p = float(bdtrc(won - 1, won + lost, 0.5)) if won else 1.0
    centre = (won - lost) / (n + 2)
    spread = math.sqrt(max(0.0, won + lost + 1 - (won - lost) ** 2 / (n + 2))) / (n + 2)
    low, high = max(-1.0, centre - _Z * spread), min(1.0, centre + _Z * spread)
    return Gain(float(before.double().mean()), float(after.double().mean()), low, high, p, n)


class Guess(NamedTuple):
    """What guessing reaches.

    Args:
      share: of right answers where predictions had nothing to do with labels, each as often as it is.
      p: chance that such guesses are right as often as the predictions are.
      right: share of right answers of the predictions.
    """

    share: float
    p: float
    right: float

    @property
    def is_all(self) -> bool:
        """Whether the predictions are no better than guesses, or hardly."""
        kappa = (self.right - self.share) / max(1e-9, 1 - self.share)
        return self.p > GUESSING or (kappa < LITTLE and self.right < TWICE * self.share)


def guess(predicted: Tensor, labels: Tensor) -> Guess:
    """Compare predictions with labels in another order: a permutation test.

    Args:
      predicted, labels: [n] int64, n at least 1.
    """
    right = int((predicted == labels).sum())
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.tile(predicted.numpy(), (PERMUTATIONS, 1)), axis=1)
    by_chance = (shuffled == labels.numpy()).sum(axis=1)
    counts = [
        torch.bincount(each, minlength=int(max(predicted.max(), labels.max())) + 1) for each in (predicted, labels)
    ]
    share = float((counts[0].double() * counts[1].double()).sum()) / len(labels) ** 2
    p = (1 + int((by_chance >= right).sum())) / (1 + PERMUTATIONS)
    return Guess(share, p, right / len(labels))
