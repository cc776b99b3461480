"""Pictures of files, decoded once into the user's cache and read from there as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.datasets import picture_cache
from autokd.datasets.picture_cache import Kept
from autokd.errors import DataError
from autokd.files import cache_dir
from autokd.input_values import Finer, UnreadFiles
from autokd.spec import fingerprint


def kept_files(source: UnreadFiles, names: Sequence[str], *, skip_bad: bool) -> Kept:
    """Return pictures of files from the cache, decoded into it where they are not there yet.

    Args:
      source: decodes them.
      names: their paths.
      skip_bad: leave out those that cannot be read; the notes name them as "skipped".

    Raises:
      DataError: a file is no readable image, none is, or the disk has no room.
    """
    path, skipped = place(source, names, {"skip_bad": skip_bad}), list[str]()
    found = picture_cache.find(path)
    if found is not None:
        return found

    def good() -> Iterator[NDArray[np.uint8]]:
        for name, picture in zip(names, source.each(), strict=True):
            if not isinstance(picture, DataError):
                yield picture
            elif skip_bad:
                skipped.append(name)
            else:
                raise picture
        if len(skipped) == len(names):
            raise DataError(f"none of the {len(names)} image files can be read, the first is {names[0]}")

    return written(path, source, names, good(), lambda: {"skipped": skipped})


def place(source: Finer, names: Sequence[str], more: Mapping[str, Any]) -> Path:
    """Return the file of the cache for pictures of files as they are now; `more` is what else it depends on."""
    files = [(name, *_state(Path(name))) for name in names]
    key = fingerprint({"files": files, "shape": list(source.shape), "reading": source.about, **more})
    return cache_dir("images") / f"{key}-{source.shape[-1]}.safetensors"


def written(
    path: Path,
    source: Finer,
    names: Sequence[str],
    pictures: Iterable[NDArray[np.uint8]],
    notes: Callable[[], Mapping[str, Any]],
) -> Kept:
    """Write decoded pictures to a file of the cache, and return them from there.

    Raises:
      DataError: the disk has no room.
    """
    picture_cache.Room(len(names), source.shape[0], source.shape[-1]).check(path.parent)
    picture_cache.write(path, pictures, notes, channels=source.shape[0])
    found = picture_cache.find(path)
    assert found is not None, f"{path} was written and cannot be read"
    return found


def _state(path: Path) -> tuple[int, int]:
    """What tells that a file is the same: its size and when it was last changed."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # decoding it says so
    return found.st_size, found.st_mtime_ns
