"""Table files, and what their cells mean."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray
from pandas import DataFrame, Series

from autokd.errors import DataError, nearest
from autokd.modalities.decoding import header
from autokd.modalities.numerals import PLAIN, number
from autokd.modalities.table_text import PLACE, read_text

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".parquet", ".pq"})
MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "<na>"})
"""Texts that stand for a missing value, in lower case."""

_PARQUET = frozenset({".parquet", ".pq"})


def read_table(path: Path, single: Collection[str] = (), encoding: str | None = None) -> DataFrame:
    """Read a CSV, TSV or Parquet file; the cells of a text file stay text.

    Args:
      path: of the file.
      single: names that at most one column may have.
      encoding: of a text file without a mark; None: found by looking.

    Raises:
      DataError: the file is missing, not such a table, has no rows, or names that cannot be told apart.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'a folder, not a table file' if path.is_dir() else 'no such file'}")
    try:
        frame = _read_parquet(path) if path.suffix.lower() in _PARQUET else read_text(path, single, encoding)
    except (ValueError, OSError, csv.Error, pyarrow.ArrowException) as error:
        reason = "it is a picture" if header(path) else " ".join(str(error).split())
        raise DataError(f"{path}: not a readable table ({reason})") from error
    if frame.empty:
        raise DataError(f"{path}: the table has no rows")
    return with_names(frame, str(path))


def _read_parquet(path: Path) -> DataFrame:
    """Read a Parquet file; an index that has a name is a column like the others."""
    frame = pd.read_parquet(path)
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=named) if named else frame


def with_names(frame: DataFrame, source: str) -> DataFrame:
    """Return a table whose columns are called by trimmed text.

    Raises:
      DataError: two columns would have the same name, or the cells of one are lists.
    """
    names = [str(name).strip() for name in frame.columns]
    _check_distinct(frame, names, source)
    for place, name in enumerate(names):
        _check_single(frame.iloc[:, place], f"{source}: column {name!r}")
    return frame.set_axis(names, axis=1)


def _check_distinct(frame: DataFrame, names: list[str], source: str) -> None:
    """Refuse columns whose trimmed names are the same."""
    for name, count in Counter(names).items():
        if count > 1:
            alike = [(at + 1, given) for at, given in enumerate(frame.columns) if names[at] == name]
            places = " and ".join(f"{given!r} (column {at})" for at, given in alike)
            raise DataError(f"{source}: {places} are the same name; give each column a name of its own")


def _check_single(values: Series, source: str) -> None:
    """Refuse a column whose cells are lists."""
    cell = next((cell for cell in values if cell is not None), None)
    if isinstance(cell, list | tuple | dict | set | np.ndarray):
        raise DataError(f"{source} holds a {type(cell).__name__} a row; give each value its column")


def column(frame: DataFrame, name: str, source: str) -> Series:
    """Return a column by name.

    Raises:
      DataError: there is none; the nearest name is suggested.
    """
    if name not in frame.columns:
        names = [str(column) for column in frame.columns]
        headless = any(not np.isnan(number(column)) for column in names)
        hint = "; does the first line name the columns?" if headless else ""
        if len(names) == 1 and name in re.split(r"\W+", names[0]):
            hint = "; put a comma, semicolon, tab or | between the cells"
        raise DataError(f"{source}: there is no column {name!r}; {nearest(name, names)}{hint}")
    return frame[name]


def texts(values: Series) -> list[str | None]:
    """Return cells as stripped text, None where missing."""
    cells = [text(value) for value in values.tolist()]
    return [None if cell.lower() in MISSING else cell for cell in cells]


def is_numeric(values: Series) -> bool:
    """Whether cells are numbers already, not text."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def numbers(values: Series, form: str = PLAIN) -> tuple[NDArray[np.float64], list[int]]:
    """Return cells as numbers, NaN where missing or not a number, and the rows of those that are not numbers.

    Args:
      values: the cells.
      form: how text is written; see `autokd.modalities.numerals`. A cell that is a number already is that number.
    """
    if is_numeric(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan), []
    cells = texts(values)
    known = {cell: np.nan if cell is None else number(cell, form) for cell in set(cells)}
    pairs = zip(values.tolist(), cells, strict=True)
    found = np.array([float(raw) if _is_number(raw) else known[cell] for raw, cell in pairs], dtype=np.float64)
    return found, [row for row in np.flatnonzero(np.isnan(found)).tolist() if cells[row] is not None]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number | Decimal) and not isinstance(value, bool)


def place(values: Series, position: int) -> str:
    """Name a row by its number in the table that was read, from 1, and its line in the text file, if it was one."""
    label = values.index[position]
    if is_from_text(values):
        row, line = label
        return f"row {row} (line {line})"
    return f"row {label + 1}" if isinstance(label, int | np.integer) else f"row {label!r}"


def is_from_text(values: Series | DataFrame) -> bool:
    """Whether cells were read from a text file."""
    return tuple(values.index.names) == PLACE


def text(value: object) -> str:
    """Return a cell as stripped text."""
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()
