"""MNIST (LeCun et al., Proc. IEEE 86(11), 1998)."""

from __future__ import annotations

from dataclasses import dataclass

from autokd.data_types import DataContext, Raw
from autokd.datasets.vision import mnist
from autokd.declarations import Dataset


@dataclass(frozen=True, kw_only=True)
class Mnist:
    """70,000 grey 28x28 images of handwritten digits, 10 classes.

    Read by `torchvision.datasets.MNIST`, with the official test split.
    """

    declares = Dataset(modality="image")

    data_dir: str | None = None  # folder that holds MNIST/raw; None for the cache

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        return mnist("MNIST", "mnist", self.data_dir, context)
