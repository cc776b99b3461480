"""Columns of a table as numbers: what was fitted on the training rows, then pure functions of a cell.

Shapes: n rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pandas import Series

from autokd.errors import DataError
from autokd.modalities import dates, tables
from autokd.modalities.numerals import PLAIN, number

Encoded = NDArray[np.float64]
_LARGEST = 1e150
"""Beyond it the square of a number is infinite."""
NOTED = ", and a number that says so"
"""Of a gap, where training had some."""


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """(value or median - mean) / scale, and 1 for a missing value where the training rows had some.

    Args:
      name: of the column.
      median: of the training values, taken for a missing one.
      mean, scale: mean and standard deviation of the training values after that.
      missing: whether there is a second number, 1 for missing and 0 otherwise.
      form: how its cells are written; see `autokd.modalities.numerals`.
    """

    type: ClassVar[str] = "numeric"
    noun: ClassVar[str] = "number"  # what a cell is
    name: str
    median: float
    mean: float
    scale: float
    missing: bool
    form: str = PLAIN

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return 1 + self.missing

    @property
    def groups(self) -> tuple[int, ...]:
        """How many of these numbers stand for one thing each, in their order."""
        return (1,) * self.width

    @property
    def about(self) -> str:
        """What it holds, in a few words."""
        return self.noun

    @property
    def gaps(self) -> str:
        """What becomes of a missing cell, in a few words."""
        return f"the median, {self.median:g}{NOTED if self.missing else ''}"

    def encode(self, values: Series) -> Encoded:
        """Return [n, width].

        Raises:
          DataError: a cell is not a number, or infinite.
        """
        found = finite_numbers(values, self.name, self.form)
        absent = np.isnan(found)
        standard = (np.where(absent, self.median, found) - self.mean) / self.scale
        return np.stack([standard, absent.astype(np.float64)][: self.width], axis=1)

    def strays(self, values: Series) -> list[int]:
        """Return the positions of cells that are no numbers."""
        return tables.numbers(values, self.form)[1]


@dataclass(frozen=True, kw_only=True)
class DateColumn:
    """The parts of a date that differed in the training rows, (value or median - mean) / scale each, and missing.

    Args:
      name: of the column.
      pattern: how its cells are written, for `pandas.to_datetime`.
      parts: names out of `autokd.modalities.dates.PARTS`.
      medians, means, scales: of each part, as for a number.
      missing: whether a last number is 1 for missing and 0 otherwise.
    """

    type: ClassVar[str] = "date"
    noun: ClassVar[str] = "date"  # what a cell is
    name: str
    pattern: str
    parts: tuple[str, ...]
    medians: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    missing: bool

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return len(self.parts) + self.missing

    @property
    def groups(self) -> tuple[int, ...]:
        """How many of these numbers stand for one thing each, in their order."""
        return (1,) * self.width

    @property
    def about(self) -> str:
        """What it holds, in a few words."""
        return f"{self.noun} ({self.pattern})"

    @property
    def gaps(self) -> str:
        """What becomes of a missing cell, in a few words."""
        return f"the median of each part{NOTED if self.missing else ''}"

    def encode(self, values: Series) -> Encoded:
        """Return [n, width].

        Raises:
          DataError: a cell is no date.
        """
        strays = self.strays(values)
        if strays:
            raise not_as_in_training(values, self.name, strays[0], self.noun)
        found = dates.parts(dates.parse(self._written(values), self.pattern))
        found = found[:, [dates.PARTS.index(part) for part in self.parts]]
        absent = np.isnan(found[:, :1])
        standard = (np.where(absent, self.medians, found) - self.means) / self.scales
        return np.concatenate([standard, absent.astype(np.float64)], axis=1)[:, : self.width]

    def strays(self, values: Series) -> list[int]:
        """Return the positions of cells that are no dates."""
        cells = self._written(values)
        none = dates.parse(cells, self.pattern).isna()
        return [row for row in np.flatnonzero(none).tolist() if cells[row] is not None]

    def _written(self, values: Series) -> list[str | None]:
        """Cells as text; what is a date as such, as dates were written in training."""
        return tables.texts(dates.as_written(values, self.pattern))


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
    noun: ClassVar[str] = "category"  # what a cell is
    name: str
    categories: tuple[str, ...]
    missing: bool
    complete: bool = True

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return len(self.categories) + self.missing

    @property
    def groups(self) -> tuple[int, ...]:
        """How many of these numbers stand for one thing each, in their order."""
        return (self.width,)

    @property
    def about(self) -> str:
        """What it holds, in a few words."""
        rare = "" if self.complete else "; rarer ones"
        return f"{self.noun}: {', '.join(self.categories)}{rare}"

    @property
    def gaps(self) -> str:
        """What becomes of a missing cell, in a few words."""
        return "a category of its own" if self.missing else "none of the categories"

    def encode(self, values: Series) -> Encoded:
        """Return [n, width]."""
        place: dict[str | None, int] = {category: i for i, category in enumerate(self.categories)}
        if self.missing:
            place[None] = len(self.categories)
        places = np.array([place.get(cell, -1) for cell in self._known(values)], dtype=np.int64)
        known = np.flatnonzero(places >= 0)
        encoded = np.zeros((len(places), self.width))
        encoded[known, places[known]] = 1.0
        return encoded

    def strays(self, values: Series) -> list[int]:
        """Return the positions of cells that cannot be read: none for categories."""
        return []

    def unknown(self, values: Series) -> list[str]:
        """Return the distinct cells, sorted, that are no category of the training rows."""
        found = {cell for cell in self._known(values) if cell is not None}
        return sorted(found - set(self.categories)) if self.complete else []

    def _known(self, values: Series) -> list[str | None]:
        """Cells, as the categories are written where they are the same number: 1.0 as 1."""
        cells = tables.texts(values)
        others = {cell for cell in cells if cell is not None} - set(self.categories)
        if not others:
            return cells
        numbers = {value: name for name in self.categories if math.isfinite(value := number(name))}
        same = {cell: numbers.get(number(cell), cell) for cell in others}
        return [cell if cell is None else same.get(cell, cell) for cell in cells]


Column = NumericColumn | DateColumn | CategoricalColumn


def finite_numbers(values: Series, name: str, form: str = PLAIN) -> NDArray[np.float64]:
    """Return cells [n] as numbers, NaN where missing.

    Raises:
      DataError: a cell is not a number, infinite, or so large that its square is.
    """
    found, strays = tables.numbers(values, form)
    if strays:
        raise not_as_in_training(values, name, strays[0], NumericColumn.noun)
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        where = tables.place(values, infinite[0])
        raise DataError(f"column {name!r}: an infinite value in {where}; leave the cell empty if unknown")
    large = np.flatnonzero(np.abs(found) > _LARGEST)
    if len(large):
        where = tables.place(values, large[0])
        raise DataError(f"column {name!r}: {found[large[0]]:g} in {where} is too large to reckon with; is it a code?")
    return found


def not_as_in_training(values: Series, name: str, position: int, what: str) -> DataError:
    """Return the error that a cell is not what all cells of the column were in training."""
    cell = str(values.iloc[position]).strip()
    return DataError(
        f"column {name!r}: {cell!r} in {tables.place(values, position)} is not a {what}, as it was in training"
    )
