"""What always giving the commonest class reaches: students that are no better have learned nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from autokd.metrics import METRICS, Metric, Predictions

RARE = 0.05
"""A class with a smaller share of the training samples is named; with many classes, one below half of an even share."""
NAMED = 5
"""Rare classes that are named, at most."""
FAIR = ("macro_f1", "balanced_accuracy")
"""Metrics in which all classes weigh the same, the first one to be proposed."""


class Majority(NamedTuple):
    """What always giving the commonest class of the training samples reaches on a split.

    Args:
      value: of the metric; for the log loss, with the classes' shares as probabilities.
      error: standard error of that value, as far as the split's items decide it.
    """

    value: float
    error: float

    def equals(self, value: float) -> bool:
        """Whether a value lies within a standard error of this one."""
        return abs(value - self.value) <= self.error


def majority(train: Sequence[int], split: Sequence[int], metric: Metric) -> Majority | None:
    """Return what always giving the commonest class reaches; None where a split has no items.

    Args:
      train, split: samples of each class, in training and in the split that is asked about.
      metric: that is measured.
    Example:
      >>> majority([10, 90], [20, 80], METRICS["accuracy"]).value
      0.8
    """
    import torch

    items = sum(split)
    if not items or not sum(train):
        return None
    shares = torch.tensor(train, dtype=torch.float64).clamp(min=0.5) / sum(train)
    labels = torch.arange(len(train)).repeat_interleave(torch.tensor(split))
    answers = Predictions(labels, torch.full_like(labels, int(shares.argmax())), shares.log()[labels], len(train))
    right = METRICS["accuracy"].of(answers)
    spread = (
        float(answers.log_likelihood.std(correction=0)) if metric.unit == "nats" else math.sqrt(right * (1 - right))
    )
    return Majority(metric.of(answers), spread / math.sqrt(items))


def rare_classes(counts: Sequence[int], classes: Sequence[str]) -> list[tuple[str, float]]:
    """Return (name, share) of the rare classes, the rarest first.

    Args:
      counts: training samples of each class.
      classes: their names.
    Example:
      >>> rare_classes([96, 4], ["no", "yes"])
      [('yes', 0.04)]
    """
    total = max(1, sum(counts))
    bound = min(RARE, 0.5 / max(1, len(classes)))
    shares = [(name, count / total) for name, count in zip(classes, counts, strict=True)]
    return sorted((row for row in shares if row[1] < bound), key=lambda row: row[1])


def rare_text(counts: Sequence[int], classes: Sequence[str], metric: Metric, tried: Sequence[str] = ()) -> str:
    """Return what to tell people of the rare classes before a search begins; "" where there is none.

    Args:
      counts: training samples of each class.
      classes: their names.
      metric: that the search is about.
      tried: names of the components that the search tries for them.
    """
    rare = rare_classes(counts, classes)
    if not rare:
        return ""
    named = ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in rare[:NAMED])
    more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
    advice = "" if metric.name in FAIR else f"; {metric.title} hardly notices them: consider --objective {FAIR[0]}"
    verb = "is a rare class" if len(rare) == 1 else "are rare classes"
    parts = f"; {', '.join(tried)} are tried for {'it' if len(rare) == 1 else 'them'}" if tried else ""
    return f"{named}{more} {verb} in the training samples{parts}{advice}"
