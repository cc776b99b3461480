"""Optical digits (Alpaydin and Kaynak, UCI, 1998), the part that ships with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits

from autokd.data_types import DataContext, Part, Raw
from autokd.declarations import Dataset


@dataclass(frozen=True, kw_only=True)
class Digits:
    """1,797 grey 8x8 images of handwritten digits, 10 classes; embedded, no files needed.

    The 17 grey levels 0 to 16 are spread over 0 to 255, each to its own value.
    """

    declares = Dataset(modality="image", default_space="digits")

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        data = load_digits()
        images = torch.from_numpy(np.rint(data.images * (255 / 16)).astype(np.uint8))[:, None]
        classes = tuple(str(name) for name in data.target_names)
        part = Part(images, data.target.astype(np.int64))
        return Raw(name="digits", modality="image", classes=classes, train=part)
