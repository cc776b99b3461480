"""Where a dataset's samples are while they are trained on: in memory, or in a file."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from autokd import batching
from autokd.free_memory import free_memory
from autokd.lazy import loaded
from autokd.types import Split

SHARE = 0.5
"""Of the free memory that a dataset may take; training needs some too."""
_log = logging.getLogger("autokd")


def brought_to_memory(splits: Mapping[str, Split]) -> dict[str, Split]:
    """Return splits in memory; where that has no room for all of them, those that are read from a file stay there."""
    lazy = [split.inputs for split in splits.values() if batching.is_lazy(split.inputs)]
    size = sum(map(batching.nbytes, lazy))
    if lazy and not fits(size):
        _log.warning(
            "the data take %.2f GB, and %.2f GB of memory are free: they are read from the cache as they are needed",
            *(size / 1e9, free_memory() / 1e9),
        )
        return dict(splits)
    return {
        name: dataclasses.replace(split, inputs=batching.each(split.inputs, loaded)) for name, split in splits.items()
    }


def fits(size: int) -> bool:
    """Whether a dataset of so many bytes is held in memory."""
    return size <= SHARE * free_memory()
