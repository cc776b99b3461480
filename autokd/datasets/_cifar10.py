"""CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009)."""

from __future__ import annotations

from dataclasses import dataclass

from autokd.data_types import DataContext, Raw
from autokd.datasets.vision import cifar
from autokd.declarations import Dataset


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """60,000 colour 32x32 images, 10 classes.

    Read by `torchvision.datasets.CIFAR10`, with the official test split.
    """

    declares = Dataset(modality="image")

    data_dir: str | None = None  # folder that holds cifar-10-batches-py; None for the cache

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        return cifar("CIFAR10", "cifar10", self.data_dir, context)
