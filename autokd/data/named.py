"""Which dataset is meant: a name, a path, arrays or a torch dataset as the component that reads it."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset as TorchDataset

from autokd import catalog
from autokd.datasets import arrays, places
from autokd.errors import DataError
from autokd.files import cache_dir, is_printable, printable
from autokd.spec import make

_log = logging.getLogger("autokd")


def component_of(reference: Any, data_dir: str | Path | None, where: dict[str, Any]) -> Any:
    """Return the dataset component that a reference means.

    Args:
      reference: see `autokd.data.load`.
      data_dir: folder of the files of named datasets.
      where: options that are fields of it; None for those that were not given.

    Raises:
      DataError: there is no such thing, or it does not take an option.
    """
    given = {key: value for key, value in where.items() if value is not None}
    if isinstance(reference, (str, Path)):
        return _named(str(reference), data_dir, given)
    classification = given.pop("classification", None)
    if given:
        raise DataError(places.not_taken("data given in Python", list(given)))
    if isinstance(reference, TorchDataset):
        return arrays.from_torch(reference, cache_dir(), classification=classification)
    if isinstance(reference, tuple) and len(reference) == 2:
        return arrays.from_arrays(*reference, cache_dir(), classification=classification)
    raise DataError(f"expected a dataset's name, a path, (X, y) or a torch dataset, got {type(reference).__name__}")


def _named(reference: str, data_dir: str | Path | None, given: dict[str, Any]) -> Any:
    """Return the dataset of that name, or at that path."""
    name, values = _name_and_place(reference, data_dir, given.get("encoding"))
    fields = field_names(catalog.load("datasets", name))
    strange = sorted(set(given) - fields)
    if strange:
        raise DataError(places.not_taken(reference, strange))
    data = data_dir if data_dir is not None else os.environ.get("AUTOKD_DATA")
    if data and "data_dir" in fields:
        values["data_dir"] = absolute(data)
    return make("datasets", name, values | given)


def _name_and_place(reference: str, data_dir: str | Path | None, encoding: str | None) -> tuple[str, dict[str, Any]]:
    """Return the component's name, and its fields that say which path is meant."""
    if reference in catalog.names("datasets") and _self_contained(reference):
        if Path(reference).exists():
            _log.warning("%s is the dataset of that name; write ./%s for the one in this folder", reference, reference)
        return reference, {}
    inside = None if data_dir is None or Path(reference).exists() else Path(data_dir).expanduser() / reference
    path = inside if inside is not None and inside.exists() else Path(reference)
    found = places.dataset_at(path, encoding)
    if found is not None:
        name, field = found
        return name, {field: absolute(path)}
    named = filter(_self_contained, catalog.names("datasets"))
    raise DataError(f"{reference!r} is no dataset, file or folder; {places.nearest_here(path, named)}")


def _self_contained(name: str) -> bool:
    """Whether a dataset needs nothing but its name."""
    fields = dataclasses.fields(catalog.load("datasets", name))
    return all(field.default is not dataclasses.MISSING for field in fields)


def field_names(component: Any) -> set[str]:
    """Return the names of a component's fields."""
    return {field.name for field in dataclasses.fields(component)}


def absolute(path: str | Path) -> str:
    """Return a path as records name it.

    Raises:
      DataError: no record could name it.
    """
    found = str(Path(path).expanduser().resolve())
    if not is_printable(found):
        raise DataError(f"{printable(found)!r}: the path is not UTF-8, and no record could name it; rename it")
    return found
