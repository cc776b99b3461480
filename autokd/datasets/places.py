"""Which dataset lies at a path, and which options are for which dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autokd import catalog
from autokd.errors import nearest
from autokd.modalities import tables
from autokd.modalities.picture_table import names_pictures


def dataset_at(path: Path, encoding: str | None = None) -> tuple[str, str] | None:
    """Return the name of the dataset that reads a path, and its field that takes the path; None where there is none.

    Args:
      path: of a folder or file.
      encoding: of a table, where one was named.
    """
    if path.is_dir():
        return "image_folder", "root"
    if path.is_file() or path.suffix.lower() in tables.SUFFIXES:
        return ("image_table" if names_pictures(path, encoding) else "table_file"), "file"
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


def not_taken(reference: str, options: Iterable[str]) -> str:
    """Return what is said of options that some data do not take: which data do, and what to do."""
    fields = {name: dataclasses.fields(catalog.load("datasets", name)) for name in catalog.names("datasets")}
    said = []
    for option in options:
        takers = [f"an {name}" if name[0] in "aeiou" else f"a {name}" for name in _having(option, fields)]
        said.append(f"{option} does not apply to {reference}, only to {' or '.join(takers)}")
    return f"{'; '.join(said)}: leave it out, or give such data"


def _having(option: str, fields: Mapping[str, Iterable[dataclasses.Field[Any]]]) -> list[str]:
    """What the datasets are called in prose that have an option: "table file" for `table_file`."""
    return [name.replace("_", " ") for name, own in fields.items() if option in {field.name for field in own}]
