"""Models that take five lines to write, trained on the same rows: what a student must at least beat.

None is ever recommended. They are fitted when the test split is read, and answer on it with the students.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autokd.data import Dataset
from autokd.data.numbers import numbers_of
from autokd.types import Split

MOST_WORK = 8e6
"""Rows times numbers times classes up to which boosted trees are fitted: seconds; the others take a hundredth."""
_LEAST = 1e-7
"""Probability that is taken for 0."""


def plain_logits(data: Dataset, splits: dict[str, Split]) -> Iterator[tuple[str, Tensor]]:
    """Fit the plain models on the training rows; yield "NAME/SPLIT" and logarithms of probabilities [N, C], float32.

    Nothing is yielded for a kind of input that offers no numbers, or with fewer than two classes in the training rows.

    Args:
      data: whose training rows they learn from.
      splits: that they answer on, by name.
    """
    labels = data.train.labels.cpu().numpy()
    rows = numbers_of(data.train, data.task.modality)
    if rows is None or len(np.unique(labels)) < 2:
        return
    asked = {name: numbers_of(split, data.task.modality) for name, split in splits.items()}
    for name, make in _models(rows.size * data.task.num_classes):
        model = make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that was cut short
            model.fit(rows, labels)
        for split, numbers in asked.items():
            known = model.predict_proba(numbers)
            probabilities = np.zeros((len(known), data.task.num_classes))
            probabilities[:, model.classes_] = known
            yield f"{name}/{split}", torch.from_numpy(np.log(np.maximum(probabilities, _LEAST))).float()


def _models(work: float) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name of each model, and what makes it, unfitted."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    yield "majority", lambda: DummyClassifier(strategy="prior")
    yield "logistic regression", lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    yield "nearest neighbour", lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    if work <= MOST_WORK:
        yield "boosted trees", lambda: HistGradientBoostingClassifier(max_iter=50, random_state=0)
