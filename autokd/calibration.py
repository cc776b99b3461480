"""How far probabilities can be taken at their word, and the temperature that mends them.

Source: Guo et al., ICML 2017 (arXiv 1706.04599), sections 2 and 4.2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Of equal width, over confidences from 0 to 1; as in the source."""
LEAST, MOST = 0.05, 20.0
"""Between which a temperature is looked for."""

Floats = NDArray[np.float64]


class Bin(NamedTuple):
    """The items whose confidence lies between two bounds.

    Args:
      low, high: the bounds; low < confidence <= high.
      items: how many there are.
      confidence: their mean confidence; NaN where there is none.
      accuracy: the share of them that is right; NaN where there is none.
    """

    low: float
    high: float
    items: int
    confidence: float
    accuracy: float


def softmax(logits: NDArray[np.floating]) -> Floats:
    """Logits [..., C] -> probabilities [..., C], float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    powers = np.exp(shifted)
    probabilities: Floats = powers / powers.sum(-1, keepdims=True)
    return probabilities


def reliability(probabilities: Floats, labels: NDArray[np.integer], bins: int = BINS) -> list[Bin]:
    """Return how often each confidence is right: the points of a reliability diagram.

    Args:
      probabilities: [N, C].
      labels: [N].
      bins: their number.
    """
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    number = bin_of(confidence, bins)
    items = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(number, confidence, bins) / items
        shares = np.bincount(number, right, bins) / items
    return [Bin(i / bins, (i + 1) / bins, int(items[i]), float(means[i]), float(shares[i])) for i in range(bins)]


def bin_of(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the number of the bin of each confidence, from 0."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def calibration_error(probabilities: Floats, labels: NDArray[np.integer], bins: int = BINS) -> float:
    """Return the expected calibration error: how far confidence lies from accuracy, 0 to 1 (ECE, equation 3).

    Example:
      >>> round(calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 3)
      0.4
    """
    found = [each for each in reliability(probabilities, labels, bins) if each.items]
    return sum(each.items * abs(each.accuracy - each.confidence) for each in found) / len(labels)


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the temperature whose softmax(logits / temperature) has the least log loss, 0.05 to 20.

    One item more, answered wrong, is taken to be there: where all are right the least log loss would be that of
    probabilities of 0 and 1. (Platt, 1999, does the same for two classes.)

    Args:
      logits: [N, C], of items that the network was not trained on.
      labels: [N].
    """
    from scipy.optimize import minimize_scalar

    items, classes = logits.shape
    if items == 0 or classes < 2:
        return 1.0
    centred = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    own = centred[np.arange(items), labels]
    wrong = 1 / (items + 2)
    target = (1 - wrong) * own + wrong * (centred.sum(-1) - own) / (classes - 1)

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(scale * centred).sum(-1)) - scale * target))

    bounds = math.log(LEAST), math.log(MOST)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))
