"""Which dataset lies at a path."""

from __future__ import annotations

from pathlib import Path

from autokd.modalities import tables
from autokd.modalities.picture_table import names_pictures


def dataset_at(path: Path) -> tuple[str, str] | None:
    """Return the name of the dataset that reads a path, and its field that takes the path; None where there is none."""
    if path.is_dir():
        return "image_folder", "root"
    if path.is_file() or path.suffix.lower() in tables.SUFFIXES:
        return ("image_table" if names_pictures(path) else "table_file"), "file"
    return None
