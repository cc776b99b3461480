"""Wine recognition (Aeberhard and Forina, UCI, 1992), as scikit-learn ships it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_wine

from autokd.data_types import DataContext, Part, Raw
from autokd.declarations import Dataset


@dataclass(frozen=True, kw_only=True)
class Wine:
    """178 rows, 13 numeric columns, 3 classes; embedded, no files needed."""

    declares = Dataset(modality="table")

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        data = load_wine(as_frame=True)
        classes = tuple(str(name) for name in data.target_names)
        part = Part(data.data, data.target.to_numpy(dtype=np.int64))
        return Raw(name="wine", modality="table", classes=classes, train=part)
