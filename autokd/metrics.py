"""What a student's answers are worth: one function a metric.

A metric is a function of `Predictions` under `@_metric`, which says how it is called, which way is better and between
which values it lies. It is then recorded of every rung and can be a study's objective: nothing else names metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor  # listings and reports name metrics without waiting for torch

METRICS: dict[str, Metric] = {}
"""All metrics, by name."""


class Predictions(NamedTuple):
    """A model's answers on N labelled items, on the CPU.

    Args:
      labels: [N] int64.
      predicted: [N] int64, the class with the largest logit.
      log_likelihood: [N] float64, natural logarithm of the probability that the label was given.
      classes: their number.
    """

    labels: Tensor
    predicted: Tensor
    log_likelihood: Tensor
    classes: int

    def take(self, index: Tensor) -> Predictions:
        """Return the answers on some of the items, [M] int64."""
        return Predictions(self.labels[index], self.predicted[index], self.log_likelihood[index], self.classes)


def predictions(logits: Tensor, labels: Tensor) -> Predictions:
    """Return what metrics look at.

    Args:
      logits: [N, C].
      labels: [N] int64.
    Example:
      >>> predictions(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])).predicted
      tensor([0, 1])
    """
    logits, labels = logits.cpu(), labels.cpu()
    own = logits.double().log_softmax(-1).gather(1, labels[:, None])[:, 0]
    return Predictions(labels, logits.argmax(-1), own, logits.shape[1])


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A quality of answers.

    Args:
      name: as in `--objective`.
      title: for people.
      of: the function.
      higher_is_better: which way is better.
      low, high: bounds of its values.
      worst: what a run that failed counts.
      unit: "%" for a share (shown as such, its differences as points), else "nats" or "".
      quantised: whether the student answers in 8 bits. Such a metric is measured of full-length runs; what is shorter
        is scored by the same function of the float student's answers.
    """

    name: str
    title: str
    of: Callable[[Predictions], float]
    higher_is_better: bool
    low: float
    high: float
    worst: float
    unit: str
    quantised: bool = False

    @property
    def in_float(self) -> str:
        """Name of the metric that is the same of a float model's answers: itself, unless it is `quantised`."""
        return self.of.__name__

    @property
    def counts_right(self) -> bool:
        """Whether it is the share of items that are right."""
        return self.of is accuracy

    @property
    def direction(self) -> str:
        """ "maximize" or "minimize", of values."""
        return "maximize" if self.higher_is_better else "minimize"

    @property
    def perfect(self) -> float:
        """The best value."""
        return self.high if self.higher_is_better else self.low

    @property
    def scale(self) -> float:
        """What values are shown times."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def digits(self) -> int:
        """How many of them values are shown with, behind the point."""
        return 1 if self.unit == "%" else 3

    @property
    def worst_score(self) -> float:
        """What a run that failed counts, as a score."""
        return self.score(self.worst)

    def score(self, value: float) -> float:
        """A value as a score, of which more is better: its negative where less is better. Its own inverse."""
        return value if self.higher_is_better else -value

    value = score
    """A score as a value."""

    def values(self, scores: Iterable[float]) -> list[float]:
        """Scores as values."""
        return [self.value(score) for score in scores]

    def number(self, value: float) -> str:
        """A value without its unit.

        Example:
          >>> METRICS["accuracy"].number(0.954), METRICS["mcc"].number(0.954)
          ('95.4', '0.954')
        """
        return f"{self.scale * value:.{self.digits}f}"

    def text(self, value: float) -> str:
        """A value with its unit.

        Example:
          >>> METRICS["accuracy"].text(0.954), METRICS["log_loss"].text(0.21)
          ('95.4 %', '0.210 nats')
        """
        return f"{self.number(value)} {self.unit}".rstrip()

    def signed(self, difference: float) -> str:
        """A difference with its sign, without unit.

        Example:
          >>> METRICS["accuracy"].signed(0.012), METRICS["log_loss"].signed(0.012)
          ('+1.2', '+0.012')
        """
        return f"{self.scale * difference:+.{self.digits}f}"

    def apart(self, difference: float) -> str:
        """How far two values lie apart, with the unit.

        Example:
          >>> METRICS["accuracy"].apart(0.012), METRICS["log_loss"].apart(0.012)
          ('1.2 points', '0.012 nats')
        """
        return f"{self.number(difference)} {self.difference_unit}".rstrip()

    @property
    def difference_unit(self) -> str:
        """The unit of differences: "points" where values are in percent."""
        return "points" if self.unit == "%" else self.unit

    def heading(self, what: str) -> str:
        """ "test" -> "test accuracy (%)": what a column or an axis shows."""
        return f"{what} {self.title} ({self.unit})" if self.unit else f"{what} {self.title}"


def measure(found: Predictions) -> dict[str, float]:
    """Return the value of every metric of a float student, by name."""
    return {name: metric.of(found) for name, metric in METRICS.items() if not metric.quantised}


def confusion(found: Predictions) -> Tensor:
    """Return how often each class (row) was taken for each (column), [C, C] float64.

    Example:
      >>> confusion(predictions(torch.eye(2)[[0, 1, 1]], torch.tensor([0, 0, 1])))
      tensor([[1., 1.],
              [0., 1.]], dtype=torch.float64)
    """
    cell = found.labels * found.classes + found.predicted
    return cell.bincount(minlength=found.classes**2).reshape(found.classes, found.classes).double()


def _metric(
    title: str,
    *,
    higher_is_better: bool = True,
    low: float = 0.0,
    high: float = 1.0,
    worst: float = 0.0,
    unit: str = "%",
) -> Callable[[Callable[[Predictions], float]], Callable[[Predictions], float]]:
    """Make a function a metric; the arguments are those of `Metric`."""

    def add(function: Callable[[Predictions], float]) -> Callable[[Predictions], float]:
        METRICS[function.__name__] = Metric(
            name=function.__name__,
            title=title,
            of=function,
            higher_is_better=higher_is_better,
            low=low,
            high=high,
            worst=worst,
            unit=unit,
        )
        return function

    return add


@_metric("accuracy")
def accuracy(found: Predictions) -> float:
    """Share of the items that are right.

    Example:
      >>> accuracy(predictions(torch.eye(2)[[0, 1, 1, 1]], torch.tensor([0, 0, 1, 1])))
      0.75
    """
    return float((found.predicted == found.labels).double().mean())


@_metric("macro F1")
def macro_f1(found: Predictions) -> float:
    """Mean over classes of the harmonic mean of precision and recall.

    A class that neither occurs nor is predicted is left out, as scikit-learn does.

    Example:
      >>> found = predictions(torch.eye(2)[[0, 1, 1]], torch.tensor([0, 0, 1]))  # F1 is 2/3 for both classes
      >>> round(macro_f1(found), 3)
      0.667
    """
    table = confusion(found)
    both = table.sum(0) + table.sum(1)
    return float((2 * table.diagonal() / both)[both > 0].mean())


@_metric("balanced accuracy")
def balanced_accuracy(found: Predictions) -> float:
    """Mean recall over the classes that occur.

    Example:
      >>> balanced_accuracy(predictions(torch.eye(2)[[0, 1, 1]], torch.tensor([0, 0, 1])))  # 1/2 and 1
      0.75
    """
    table = confusion(found)
    there = table.sum(1)
    return float((table.diagonal() / there)[there > 0].mean())


@_metric("log loss", higher_is_better=False, high=math.inf, worst=16.0, unit="nats")
def log_loss(found: Predictions) -> float:
    """Mean negative logarithm of the probability that the label was given, nats.

    It has no worst value; a failed run counts as if it gave every label the smallest probability that float32 tells
    from nothing beside 1 (1e-7).

    Example:
      >>> round(log_loss(predictions(torch.zeros(1, 2), torch.tensor([0]))), 3)  # log 2
      0.693
    """
    return float(-found.log_likelihood.mean())


@_metric("MCC", low=-1.0, worst=-1.0, unit="")
def mcc(found: Predictions) -> float:
    """Matthews' correlation coefficient of labels and predictions; 0 where one of them is constant.

    Source: Gorodkin, Computational Biology and Chemistry 2004, for several classes.
    Example:
      >>> mcc(predictions(torch.eye(2), torch.tensor([1, 0])))
      -1.0
    """
    table = confusion(found)
    true, predicted, items = table.sum(1), table.sum(0), table.sum()
    covariance = table.diagonal().sum() * items - true @ predicted
    spread = (items**2 - true @ true) * (items**2 - predicted @ predicted)
    return float(covariance / spread.sqrt()) if spread > 0 else 0.0


METRICS["accuracy_int8"] = replace(
    METRICS["accuracy"], name="accuracy_int8", title="accuracy after int8", quantised=True
)
"""The share that the student gets right once its weights and activations are 8 bits wide."""
