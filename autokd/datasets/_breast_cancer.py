"""Breast cancer Wisconsin, diagnostic (Wolberg et al., UCI, 1995), as scikit-learn ships it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_breast_cancer

from autokd.data_types import DataContext, Part, Raw
from autokd.declarations import Dataset


@dataclass(frozen=True, kw_only=True)
class BreastCancer:
    """569 rows, 30 numeric columns, 2 classes; embedded, no files needed."""

    declares = Dataset(modality="table")

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        data = load_breast_cancer(as_frame=True)
        classes = tuple(str(name) for name in data.target_names)
        part = Part(data.data, data.target.to_numpy(dtype=np.int64))
        return Raw(name="breast_cancer", modality="table", classes=classes, train=part)
