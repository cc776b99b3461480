"""Columns of a table as numbers: fitted once on the training rows, then pure functions of a cell.

Shapes: n rows.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, Series

from autokd.errors import DataError
from autokd.modalities import tables

MAX_CATEGORIES = 100
"""Categories of a column that get a number of their own, most frequent first; the rest are coded as unknown ones."""

_MIN_ROWS_FOR_WARNING = 20
_log = logging.getLogger("autokd")

Encoded = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """(value or median - mean) / scale, and 1 for a missing value where the training rows had some.

    Args:
      name: of the column.
      median: of the training values, taken for a missing one.
      mean, scale: mean and standard deviation of the training values after that.
      missing: whether there is a second number, 1 for missing and 0 otherwise.
    """

    type: ClassVar[str] = "numeric"
    name: str
    median: float
    mean: float
    scale: float
    missing: bool

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return 1 + self.missing

    def encode(self, values: Series) -> Encoded:
        """Return [n, width].

        Raises:
          DataError: a cell is not a number, or infinite.
        """
        found = finite_numbers(values, self.name)
        absent = np.isnan(found)
        standard = (np.where(absent, self.median, found) - self.mean) / self.scale
        return np.stack([standard, absent.astype(np.float64)][: self.width], axis=1)

    def unknown(self, values: Series) -> list[str]:
        """Return cells that the training rows cannot explain: none for numbers."""
        return []


@dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """One number a category, 1 where the cell is that category; all 0 for an unknown one.

    Args:
      name: of the column.
      categories: in order.
      missing: whether a last number is 1 for missing; without it a missing cell is all 0.
      complete: whether `categories` holds all that the training rows had; otherwise the rare ones are all 0.
    """

    type: ClassVar[str] = "categorical"
    name: str
    categories: tuple[str, ...]
    missing: bool
    complete: bool = True

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return len(self.categories) + self.missing

    def encode(self, values: Series) -> Encoded:
        """Return [n, width]."""
        place: dict[str | None, int] = {category: i for i, category in enumerate(self.categories)}
        if self.missing:
            place[None] = len(self.categories)
        places = np.array([place.get(cell, -1) for cell in tables.texts(values)], dtype=np.int64)
        known = np.flatnonzero(places >= 0)
        encoded = np.zeros((len(places), self.width))
        encoded[known, places[known]] = 1.0
        return encoded

    def unknown(self, values: Series) -> list[str]:
        """Return the distinct cells, sorted, that are no category of the training rows."""
        found = {cell for cell in tables.texts(values) if cell is not None}
        return sorted(found - set(self.categories)) if self.complete else []


Column = NumericColumn | CategoricalColumn


def finite_numbers(values: Series, name: str) -> NDArray[np.float64]:
    """Return cells [n] as numbers, NaN where missing.

    Raises:
      DataError: a cell is not a number, or infinite.
    """
    found, strays = tables.numbers(values)
    if strays:
        cell = str(values.iloc[strays[0]]).strip()
        raise DataError(
            f"column {name!r}: {cell!r} in {_row(values, strays[0])} is not a number, as it was in training"
        )
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        where = _row(values, infinite[0])
        raise DataError(f"column {name!r}: an infinite value in {where}; leave the cell empty if unknown")
    return found


def _row(values: Series, position: int) -> str:
    """Name a row by its number in the table that was read, from 1, whatever rows of it were taken since."""
    label = values.index[position]
    return f"row {label + 1}" if isinstance(label, int | np.integer) else f"row {label!r}"


def fit_columns(frame: DataFrame) -> tuple[tuple[Column, ...], dict[str, str]]:
    """Fit the columns of a table.

    Args:
      frame: the training rows, features only.
    Returns:
      The columns kept, and the reason for each column left out.

    Raises:
      DataError: an infinite value, or no column is left.
    """
    kept: list[Column] = []
    dropped: dict[str, str] = {}
    for name in map(str, frame.columns):
        column = _fit(frame[name], name)
        if isinstance(column, str):
            dropped[name] = column
        else:
            kept.append(column)
    if not kept:
        raise DataError(f"no column can be used as a feature: {dropped or 'there is only the label'}")
    return tuple(kept), dropped


def _fit(values: Series, name: str) -> Column | str:
    """Return the fitted column, or why it is left out."""
    cells = tables.texts(values)
    if len(set(cells)) < 2:
        return "constant"
    _, strays = tables.numbers(values)
    return _fit_categorical(cells, name, len(strays)) if strays else _fit_numeric(values, name)


def _fit_numeric(values: Series, name: str) -> NumericColumn:
    found = finite_numbers(values, name)
    absent = np.isnan(found)
    _warn_of_row_numbers(found[~absent], name)
    median = float(np.median(found[~absent]))
    filled = np.where(absent, median, found)
    mean = math.fsum(filled) / len(filled)  # fsum rounds once: the same on every machine
    scale = math.sqrt(math.fsum((filled - mean) ** 2) / len(filled))
    return NumericColumn(name=name, median=median, mean=mean, scale=scale or 1.0, missing=bool(absent.any()))


def _fit_categorical(cells: list[str | None], name: str, strays: int) -> CategoricalColumn | str:
    counts = Counter(cell for cell in cells if cell is not None)
    if len(cells) >= _MIN_ROWS_FOR_WARNING and len(counts) > len(cells) / 2:
        _log.warning(
            "column %r is left out: %d different texts in %d rows look like an identifier (%d cells are not numbers)",
            *(name, len(counts), len(cells), strays),
        )
        return "identifier"
    frequent = sorted(counts, key=lambda cell: (-counts[cell], cell))[:MAX_CATEGORIES]
    complete = len(frequent) == len(counts)
    return CategoricalColumn(name=name, categories=tuple(sorted(frequent)), missing=None in cells, complete=complete)


def _warn_of_row_numbers(found: NDArray[np.float64], name: str) -> None:
    whole = len(found) >= _MIN_ROWS_FOR_WARNING and bool((found % 1 == 0).all())
    if whole and len(np.unique(found)) == len(found) and found.max() - found.min() < 2 * len(found):
        _log.warning("column %r looks like a row number and may give the label away; remove it if it is one", name)
