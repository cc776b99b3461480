"""Table files, and what their cells mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray
from pandas import DataFrame, Series

from autokd.data_types import Indices
from autokd.errors import DataError, nearest

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".parquet", ".pq"})
MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "<na>"})
"""Texts that stand for a missing value, in lower case."""

_PARQUET = frozenset({".parquet", ".pq"})
_DELIMITERS = (",", ";", "\t", "|")
_MANY = 20
"""Distinct values from which on numbers in a label column look like a quantity."""


def read_table(path: Path) -> DataFrame:
    """Read a CSV, TSV or Parquet file; the cells of a text file stay text.

    Raises:
      DataError: the file is missing, not such a table, or has no rows.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in _PARQUET else _read_text(path)
    except (ValueError, OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a readable table ({' '.join(str(error).split())})") from error
    if frame.empty:
        raise DataError(f"{path}: the table has no rows")
    return frame.rename(columns=lambda name: str(name).strip())


def column(frame: DataFrame, name: str, source: str) -> Series:
    """Return a column by name.

    Raises:
      DataError: there is none; the nearest name is suggested.
    """
    if name not in frame.columns:
        names = [str(column) for column in frame.columns]
        headless = any(not np.isnan(_number(column)) for column in names)
        hint = "; does the first line name the columns?" if headless else ""
        raise DataError(f"{source}: there is no column {name!r}; {nearest(name, names)}{hint}")
    return frame[name]


def texts(values: Series) -> list[str | None]:
    """Return cells as stripped text, None where missing."""
    stripped = [str(value).strip() for value in values.tolist()]
    return [None if text.lower() in MISSING else text for text in stripped]


def numbers(values: Series) -> tuple[NDArray[np.float64], list[int]]:
    """Return cells as numbers, NaN where missing or not a number, and the rows of those that are not numbers."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan), []
    cells = texts(values)
    found = np.array([_number(cell) for cell in cells], dtype=np.float64)
    return found, [row for row in np.flatnonzero(np.isnan(found)).tolist() if cells[row] is not None]


def class_names(values: Series, source: str) -> list[str]:
    """Return the class name of every row of a label column.

    Raises:
      DataError: a label is missing, or the labels look like a quantity.
    """
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    names = [str(value).strip() for value in values.tolist()]
    empty = np.flatnonzero(values.isna().to_numpy() | (np.array(names, dtype=object) == ""))
    if len(empty):
        raise DataError(f"{source}: {len(empty)} row(s) have no label, the first is row {empty[0] + 1}")
    _check_not_a_quantity(names, source)
    return names


def in_order(names: list[str]) -> tuple[str, ...]:
    """Return the distinct class names: by value where all are numbers, otherwise by text."""
    distinct = set(names)
    if any(np.isnan(_number(name)) for name in distinct):
        return tuple(sorted(distinct))
    return tuple(sorted(distinct, key=lambda name: (float(name), name)))


def indices(names: list[str], classes: tuple[str, ...], source: str) -> Indices:
    """Return class indices [N].

    Raises:
      DataError: a name is none of the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    unknown = sorted(set(names) - set(index))
    if unknown:
        raise DataError(f"{source}: class {unknown[0]!r} is not in the training data; {nearest(unknown[0], classes)}")
    return np.array([index[name] for name in names], dtype=np.int64)


def _check_not_a_quantity(names: list[str], source: str) -> None:
    distinct = set(names)
    if len(distinct) <= _MANY or any(np.isnan(_number(name)) for name in distinct):
        return
    if len(distinct) > len(names) / 5 or any(not name.lstrip("+-").isdigit() for name in distinct):
        raise DataError(
            f"{source}: the label has {len(distinct)} different numbers in {len(names)} rows, which looks like a "
            "regression; only classification is supported: turn it into classes first"
        )


def _read_text(path: Path) -> DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    delimiter = max(_DELIMITERS, key=header.count)
    return pd.read_csv(
        path, sep=delimiter, dtype=str, encoding="utf-8-sig", na_filter=False, index_col=False, skipinitialspace=True
    )


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell is not None else np.nan
    except ValueError:
        return np.nan
