"""Images given as arrays in Python, kept in the cache by content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from autokd.data_types import DataContext, Part, Raw
from autokd.datasets.store import Stored, read
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.files import write_tensors


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Images and labels that were passed as `dataset=(X, y)` or as a torch dataset.

    They are stored once as `arrays/<fingerprint>.safetensors` in the cache: `inputs` uint8 [N, C, H, W], `labels` [N].
    """

    declares = Dataset(modality="image")

    fingerprint: str  # content hash, the name of the file

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        path = arrays_file(context.cache, self.fingerprint)
        try:
            tensors, notes = read(path)
        except (FileNotFoundError, SafetensorError) as error:
            raise DataError(f"{path}: these arrays are no longer in the cache; pass them as dataset=(X, y)") from error
        part = Part(tensors["inputs"], tensors["labels"].numpy())
        return Raw(name="arrays", modality="image", classes=tuple(json.loads(notes["classes"])), train=part)


def arrays_file(cache: Path, fingerprint: str) -> Path:
    """Return where arrays of this content are kept."""
    return cache / "arrays" / f"{fingerprint}.safetensors"


def keep_arrays(cache: Path, fingerprint: str, part: Stored) -> Arrays:
    """Store images, labels and class names, and return the dataset that reads them."""
    if not arrays_file(cache, fingerprint).is_file():
        write_tensors(arrays_file(cache, fingerprint), part.tensors, part.notes)
    return Arrays(fingerprint=fingerprint)
