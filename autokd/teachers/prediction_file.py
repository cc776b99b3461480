"""Files of predictions: arrays of NumPy, CSV and Parquet tables; their numbers, the classes, and the samples."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from autokd.errors import DataError, TeacherError, one_line
from autokd.modalities import tables
from autokd.teachers.answers import listed
from autokd.types import Task

_ARRAYS = frozenset({".npz", ".npy"})
_VALUES: Mapping[str, str] = {
    **dict.fromkeys(("logits", "logit", "log_probabilities", "log_probs"), "logits"),
    **dict.fromkeys(
        ("probabilities", "probability", "probs", "prob", "proba", "predict_proba", "softmax"), "probabilities"
    ),
}
_ROWS = ("row", "rows", "index", "indices", "unnamed: 0", "id", "ids")
_FILES = ("input", "file", "files", "filename", "filenames", "path", "paths", "image", "name", "names", "key", "keys")
_KEYS = (*_ROWS, *_FILES)
"""What says which sample a row is about, the plainest word first."""
_CLASSES = ("classes", "class_names", "classes_")


class Predictions(NamedTuple):
    """What a file of predictions holds.

    Args:
      values: [n, c], a number for each class; or [n], one about the second of two.
      said: what it says that they are.
      classes: names of the columns' classes; () where the file names none.
      keys: [n] which sample each row is about, as the file says it; None: it does not.
      key: what it calls them.
    """

    values: NDArray[np.float64]
    said: str
    classes: Sequence[str]
    keys: Sequence[Any] | None
    key: str = ""


def read(path: Path, task: Task) -> Predictions:
    """Read a file of predictions.

    Raises:
      TeacherError: it is missing, no such file, or its columns are not those of the task's classes.
    """
    if not path.is_file():
        raise TeacherError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; expected a file of predictions")
    return _from_arrays(path) if path.suffix.lower() in _ARRAYS else _from_table(path, task)


def _from_arrays(path: Path) -> Predictions:
    named = _loaded(path)
    classes, key = _first(_CLASSES, named), _first(_KEYS, named)
    name = _values_among(named, {classes, key}, path)
    values = named[name].astype(np.float64)
    keys = None if key is None else named[key].tolist()
    if keys is not None and len(keys) != len(values):
        raise TeacherError(f"{path}: {len(values)} predictions, and {len(keys)} in {key!r}")
    names = [] if classes is None else list(map(str, named[classes].tolist()))
    return Predictions(_squeezed(values), _VALUES.get(name, "auto"), names, keys, key or "")


def _first(wanted: Iterable[str], there: Container[str]) -> str | None:
    """The first name that is there."""
    return next((name for name in wanted if name in there), None)


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, by name in small letters."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"predictions": loaded}
        with loaded:
            return {name.lower(): loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        why = one_line(error)
        if "pickle" in why:
            why = "it holds Python objects, which could run code; save numbers and text alone"
        raise TeacherError(f"{path}: not a file of NumPy arrays that is read ({why})") from error


def _squeezed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One column as a vector."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _values_among(named: Mapping[str, NDArray[Any]], taken: Collection[str | None], path: Path) -> str:
    """The name of the array that holds the predictions."""
    free = [name for name, array in named.items() if name not in taken and array.dtype.kind in "fiub"]
    known, flat = [name for name in free if name in _VALUES], [name for name in free if named[name].ndim == 2]
    found = known or flat or free
    if len(found) != 1 or named[found[0]].ndim not in (1, 2):
        raise TeacherError(
            f"{path}: call the array [samples, classes] of predictions 'logits' or 'probabilities'; it holds "
            + ", ".join(f"{name} {list(array.shape)}" for name, array in named.items())
        )
    return found[0]


def _from_table(path: Path, task: Task) -> Predictions:
    try:
        frame = tables.read_table(path)
    except DataError as error:
        raise TeacherError(str(error)) from error
    lower = {name.lower(): name for name in map(str, frame.columns)}
    key = _first(_KEYS, lower)
    key = key and lower[key]
    names, classes = _class_columns(frame if key is None else frame.drop(columns=[key]), task, path)
    values = np.stack([_numbers(frame, name, path) for name in names], axis=1)
    keys = None if key is None else [tables.text(cell) for cell in frame[key].tolist()]
    return Predictions(_squeezed(values), _said(names), classes, keys, key or "")


def _said(columns: Sequence[str]) -> str:
    """What the names of columns say that the numbers are."""
    words = sorted({word for name in columns for word in re.findall("[a-z]+", name.lower())})
    return next((_VALUES[word] for word in words if word in _VALUES), "auto")


def _class_columns(frame: DataFrame, task: Task, path: Path) -> tuple[list[str], list[str]]:
    """The columns that hold a number for each class, and the names of these, where they are the task's."""
    columns = list(map(str, frame.columns))
    named = _named_columns(columns, task)
    if named is not None:
        return named
    numeric = [name for name in columns if not np.isnan(tables.numbers(frame[name])[0]).all()]
    counted = _counted(numeric)
    if len(counted) > 1 and list(counted) in [list(range(first, first + len(counted))) for first in (0, 1)]:
        return list(counted.values()), []
    if len(numeric) == 1 and task.num_classes == 2:
        return numeric, []
    raise TeacherError(
        f"{path}: no column for each class; expected columns called {listed(task.classes)} (a word before or after all "
        f"of them is fine), got {listed(columns)}"
    )


def _counted(columns: Sequence[str]) -> dict[int, str]:
    """Columns whose names end in a number, by it, in order."""
    found = ((re.fullmatch(r"\D*(\d+)", name), name) for name in columns)
    return dict(sorted((int(match[1]), name) for match, name in found if match is not None))


def _named_columns(columns: Sequence[str], task: Task) -> tuple[list[str], list[str]] | None:
    """The columns that are called by classes, with something before or after each; those of other classes too."""
    for before, after in _frames(columns, task.classes[0]):
        own = [f"{before}{name}{after}" for name in task.classes]
        if set(own) <= set(columns):
            alike = [name for name in columns if name.startswith(before) and name.endswith(after)]
            found = alike if before or after else own
            return found, [name[len(before) : len(name) - len(after)] for name in found]
    return None


def _frames(columns: Sequence[str], name: str) -> list[tuple[str, str]]:
    """What may stand before and after the name of every class, by the columns that hold the first one's; none first."""
    places = [(column, find(column, name)) for column in columns for find in (str.find, str.rfind)]
    found = {(column[:at], column[at + len(name) :]) for column, at in places if at >= 0}
    return sorted(found, key=lambda pair: len(pair[0]) + len(pair[1]))


def _numbers(frame: DataFrame, name: str, path: Path) -> NDArray[np.float64]:
    found, strays = tables.numbers(frame[name])
    if strays:
        cell, where = frame[name].iloc[strays[0]], tables.place(frame[name], strays[0])
        raise TeacherError(f"{path}, column {name!r}: {str(cell)!r} in {where} is no number")
    return found
