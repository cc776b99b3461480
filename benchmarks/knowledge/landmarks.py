"""Landmarks of a dataset: what seconds of plain models say of it, for telling which past studies are alike.

Landmarks were proposed by Pfahringer, Bensusan and Giraud-Carrier (ICML 2000). All of them are computed on training and
validation samples alone.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from autokd.data import Dataset
from autokd.data.numbers import numbers_of
from autokd.seeds import derive

MOST = 2000
"""Training samples that are looked at; as many of validation."""
NEIGHBOURS = 10
"""That vote on whether a label is wrong."""
SURE = 0.8
"""Share of the neighbours that must agree on another label."""

Rows = NDArray[np.float32]


def landmarks(data: Dataset) -> dict[str, float]:
    """Return what plain models say of a dataset, by name; {} for a kind of input without numbers, or with one class.

    "nearest_neighbour" and "linear" are accuracies on validation, in [0, 1]; "label_noise" the share of training labels
    that nearly all of the nearest neighbours contradict; "dimension" how many numbers it takes to tell a sample from
    those beside it (TwoNN, Facco et al., Scientific Reports 2017, equation 5).

    Args:
      data: at most 2,000 samples of each of its splits are looked at.
    """
    drawn = [_drawn(data, name) for name in ("train", "validation")]
    if any(found is None for found in drawn):
        return {}
    (rows, labels), (asked, truth) = (found for found in drawn if found is not None)
    if len(np.unique(labels)) < 2 or len(rows) <= NEIGHBOURS:
        return {}
    from sklearn.neighbors import NearestNeighbors  # slow to import
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(rows)
    rows, asked = scale.transform(rows), scale.transform(asked)
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(rows)
    distances, places = near.kneighbors(rows)
    first = near.kneighbors(asked, 1, return_distance=False)[:, 0]
    return {
        "nearest_neighbour": float((labels[first] == truth).mean()),
        "linear": _linear(rows, labels, asked, truth),
        "label_noise": _contradicted(labels, places[:, 1:]),
        "dimension": _dimension(distances),
    }


def _drawn(data: Dataset, name: str) -> tuple[Rows, NDArray[np.int64]] | None:
    """Rows and labels of a split, at most `MOST` at random."""
    split = getattr(data, name)
    numbers, labels = numbers_of(split, data.task.modality), split.labels.cpu().numpy()
    if numbers is None:
        return None
    chosen = np.sort(np.random.default_rng(derive(0, "landmarks", name)).permutation(len(labels))[:MOST])
    return numbers[chosen], labels[chosen]


def _linear(rows: Rows, labels: NDArray[np.int64], asked: Rows, truth: NDArray[np.int64]) -> float:
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that was cut short
        return float(LogisticRegression(max_iter=50).fit(rows, labels).score(asked, truth))


def _contradicted(labels: NDArray[np.int64], places: NDArray[np.int64]) -> float:
    """Share of labels for which most of the neighbours agree on another one."""
    votes = np.stack([np.bincount(row, minlength=labels.max() + 1) for row in labels[places]])
    return float(((votes.max(1) >= SURE * places.shape[1]) & (votes.argmax(1) != labels)).mean())


def _dimension(distances: NDArray[np.float64]) -> float:
    """Maximum likelihood of the ratio of distances to the second and the first neighbour; copies are passed over."""
    first, second = distances[:, 1], distances[:, 2]
    ratios = np.log(second[first > 0] / first[first > 0])
    total = float(ratios.sum())
    return len(ratios) / total if total > 0 and math.isfinite(total) else 0.0
