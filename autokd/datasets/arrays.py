"""Data given in Python, (X, y) or a torch dataset, as a dataset that can be named and read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas import DataFrame, Series
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from autokd.datasets._arrays import Arrays, keep_arrays
from autokd.datasets._table_file import TableFile
from autokd.datasets.given_labels import plain_labels
from autokd.datasets.store import Stored
from autokd.errors import DataError
from autokd.files import write_tensors, written_whole
from autokd.modalities import labels as labels_of
from autokd.modalities import tables
from autokd.modalities.decoding import eight_bit, is_wide
from autokd.modalities.given_pictures import eight_bit_values
from autokd.modalities.rows import numbered_name
from autokd.networks.models import state_fingerprint

_WITHOUT_LABELS = "to distil on them, give them with unlabelled=… and leave them out here"


def from_torch(dataset: TorchDataset[Any], cache: Path, *, classification: bool | None = None) -> Arrays | TableFile:
    """Read a map-style torch dataset of (input, class) pairs once and keep it.

    Random transforms of the dataset are drawn once, here. Class names come from its attribute `classes`, where it has
    that attribute of torchvision's datasets. See `from_arrays` for `classification`.

    Raises:
      DataError: the items are not such pairs, or differ in shape.
    """
    if isinstance(dataset, IterableDataset):
        raise DataError(f"{type(dataset).__name__}: an iterable dataset has no order and length; pass a map-style one")
    items = [dataset[i] for i in range(len(dataset))]  # type: ignore[arg-type]
    if not items or not all(map(_is_pair, items)):
        raise DataError(f"{type(dataset).__name__}: expected a torch dataset of (input, class) pairs")
    inputs = _of_one_shape([_array(item[0]) for item in items], type(dataset).__name__)
    labels = [_label(item[1]) for item in items]
    classes = getattr(dataset, "classes", None)
    return from_arrays(inputs, labels, cache, classes, classification=classification)


def from_arrays(
    inputs: Any,
    labels: Any,
    cache: Path,
    classes: Sequence[str] | None = None,
    *,
    classification: bool | None = None,
) -> Arrays | TableFile:
    """Keep arrays in the cache by content.

    Args:
      inputs: images [N, H, W], [N, C, H, W] or [N, H, W, C] with C of 1 or 3, uint8 or float in [0, 1]; or a table,
        [N, D] or a DataFrame.
      labels: [N] or [N, 1] class names or numbers, or [N, C] with a single 1 a row.
      cache: the cache folder.
      classes: names of the classes 0, 1, … of images, where the labels are all of these numbers.
      classification: the labels are classes, though they look like a quantity.

    Raises:
      DataError: the shapes or values do not fit.
    """
    data = inputs if isinstance(inputs, DataFrame) else _given_array(inputs)
    target, headings = plain_labels(labels)
    classes = classes if headings is None else headings
    if len(data) != len(target) or len(data) == 0:
        raise DataError(f"(X, y): X has {len(data)} samples and y has {len(target)}; they must be as many, and some")
    if isinstance(data, DataFrame):
        return _keep_table(data, _named(target, headings), cache, classification)
    if data.ndim == 2:
        return _keep_table(_numbered(data), _named(target, headings), cache, classification)
    return _keep_images(_images(data), target, cache, classes, classification=bool(classification))


UNLABELLED = ".safetensors"
"""Ending of a file of the cache that holds images without labels, `inputs` uint8 [N, C, H, W]."""


def keep_unlabelled(inputs: Any, cache: Path) -> Path:
    """Keep samples without labels in the cache by content, and return the file.

    Args:
      inputs: in the forms that `from_arrays` takes.
      cache: the cache folder.

    Raises:
      DataError: the shapes or values do not fit.
    """
    data = inputs if isinstance(inputs, DataFrame) else _given_array(inputs)
    if len(data) == 0:
        raise DataError("unlabelled: there is no sample in it")
    if isinstance(data, DataFrame) or data.ndim == 2:
        table = tables.with_names(data if isinstance(data, DataFrame) else _numbered(data), "unlabelled")
        return _kept_table(DataFrame({name: _plain(table[name]) for name in table.columns}), cache)
    tensors = {"inputs": _images(data)}
    file = cache / "arrays" / f"unlabelled-{state_fingerprint(tensors)}{UNLABELLED}"
    if not file.is_file():
        write_tensors(file, tensors, {})
    return file


def _numbered(data: NDArray[Any]) -> DataFrame:
    """An array [N, D] as a table."""
    return DataFrame(data, columns=[numbered_name(place) for place in range(data.shape[1])])


def _named(target: Series, names: Sequence[str] | None) -> Series:
    """Class numbers as names, where there are such."""
    return target if names is None else target.map(dict(enumerate(names)))


def _is_pair(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) == 2


def _label(value: Any) -> Any:
    """A class, or a row of zeros and a one, as plain values."""
    return value.tolist() if isinstance(value, (Tensor, np.generic, np.ndarray)) else value


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, Image.Image):
        return np.asarray(value if is_wide(value.mode) else eight_bit(value))
    if isinstance(value, list | tuple) and value and isinstance(value[0], Image.Image | Tensor | np.ndarray):
        return _of_one_shape([_array(item) for item in value], "X")
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _of_one_shape(inputs: Sequence[NDArray[Any]], source: str) -> NDArray[Any]:
    shapes = {array.shape for array in inputs}
    if len(shapes) > 1:
        raise DataError(f"{source}: inputs of several shapes {sorted(shapes)[:3]}; resize them to one")
    return np.stack(inputs)


def _given_array(value: Any) -> NDArray[Any]:
    """Return X as an array of at least one dimension.

    Raises:
      DataError: it is none.
    """
    try:
        array = _array(value)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"X has rows of different lengths ({error})") from error
    if array.ndim == 0:
        dense = "; X.toarray() makes one of a sparse matrix" if hasattr(value, "toarray") else ""
        raise DataError(f"X is a {type(value).__name__}; expected a DataFrame, an array or a tensor{dense}")
    return array


def _images(array: NDArray[Any]) -> Tensor:
    """Return images as uint8 [N, C, H, W]."""
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise DataError(f"X has shape {array.shape}; expected a table [N, D] or images [N, C, H, W] with C of 1 or 3")
    return torch.from_numpy(np.ascontiguousarray(eight_bit_values(array, "X")))


def _keep_images(
    images: Tensor, target: Series, cache: Path, given: Sequence[str] | None, *, classification: bool
) -> Arrays:
    names = labels_of.class_names(
        target, "y", classification=classification or labels_of.are_whole(target), remedy=_WITHOUT_LABELS
    )
    classes = labels_of.in_order(names)
    tensors = {"inputs": images, "labels": torch.from_numpy(labels_of.indices(names, classes, "y"))}
    numbered = given is not None and classes == tuple(map(str, range(len(given))))
    text = json.dumps(list(map(str, given)) if given is not None and numbered else classes)
    fingerprint = hashlib.sha256(f"{state_fingerprint(tensors)}{text}".encode()).hexdigest()[:16]
    return keep_arrays(cache, fingerprint, Stored(tensors, {"classes": text}))


def _keep_table(table: DataFrame, target: Series, cache: Path, classification: bool | None) -> TableFile:
    """Write the table with its labels as a Parquet file; text and mixed columns as text."""
    table = tables.with_names(table, "X")
    columns = {name: _plain(table[name]) for name in table.columns}
    label = "label"
    while label in columns:
        label += "_"
    names = labels_of.class_names(target, "y", classification=bool(classification), remedy=_WITHOUT_LABELS)
    frame = DataFrame(columns | {label: names})
    return TableFile(file=str(_kept_table(frame, cache)), target=label, classification=classification)


def _kept_table(frame: DataFrame, cache: Path) -> Path:
    """The file of the cache that holds a table."""
    fingerprint = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:16]
    file = cache / "arrays" / f"table-{fingerprint}.parquet"
    if not file.is_file():
        with written_whole(file) as temporary:
            frame.to_parquet(temporary, index=False)
    return file


def _plain(values: Series) -> Any:
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"X: column {values.name!r} holds complex numbers; give real and imaginary parts apart")
    return values.to_numpy() if tables.is_numeric(values) else tables.texts(values)
