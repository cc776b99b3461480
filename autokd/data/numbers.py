"""Samples as rows of numbers, for models that are no networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autokd import batching
from autokd.networks.inputs import kind_of
from autokd.types import Split

_CHUNK = 1024


def numbers_of(split: Split, modality: str) -> NDArray[np.float32] | None:
    """Return the numbers of each sample, [N, F]; None where the kind of input has none.

    Args:
      split: the samples.
      modality: name of the kind of input.
    """
    kind, count = kind_of(modality), len(split)
    chunks = [batching.take(split.inputs, slice(start, start + _CHUNK)) for start in range(0, count, _CHUNK)]
    found = [kind.numbers(chunk) for chunk in chunks]
    known = [each.numpy() for each in found if each is not None]
    return np.concatenate(known) if known and len(known) == len(found) else None
