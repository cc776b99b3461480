"""Which dataset lies at a path."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autokd.errors import nearest
from autokd.modalities import tables
from autokd.modalities.picture_table import names_pictures


def dataset_at(path: Path) -> tuple[str, str] | None:
    """Return the name of the dataset that reads a path, and its field that takes the path; None where there is none."""
    if path.is_dir():
        return "image_folder", "root"
    if path.is_file() or path.suffix.lower() in tables.SUFFIXES:
        return ("image_table" if names_pictures(path) else "table_file"), "file"
    return None


def nearest_here(path: Path, names: Iterable[str]) -> str:
    """Return a hint for a path at which nothing lies: what lies beside it under a like name, or a dataset's name.

    Args:
      path: as it was given.
      names: of the datasets that need no path.
    """
    known, folder = list(names), path.parent
    beside = [str(folder / each.name) for each in folder.iterdir()] if folder.is_dir() else []
    hint = nearest(str(path), [*known, *(name for name in beside if not Path(name).name.startswith("."))])
    return hint if hint.startswith("did you mean") else nearest(str(path), known)
