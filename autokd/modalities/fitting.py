"""What the columns of a table are: numbers, dates, categories, or nothing that a network can use."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series

from autokd.errors import DataError
from autokd.modalities import dates, numerals, tables
from autokd.modalities.columns import CategoricalColumn, Column, DateColumn, NumericColumn, finite_numbers

MAX_CATEGORIES = 100
"""Categories of a column that get a number of their own, most frequent first; the rest are coded as unknown ones."""
STRAY_SHARE = 0.1
"""Share of a column's cells that may be no numbers (or dates) in a column of such; they count as missing."""

_FEW_STRAYS = 0.01
"""Share of cells that are no numbers up to which a column of few different numbers is one of numbers."""
_MANY_NUMBERS = 20
"""Different numbers from which on a column is one of numbers, whatever a few other cells say."""
_UNIT = re.compile(r"[-+]?\d[\d.,]*\s*(?P<unit>[^\W\d_]{1,5}\.?|°\s?[CFK]?|µ\w{1,3})")
"""A number with a unit."""
_FEW_UNITS = 3
_MIN_ROWS = 20
"""Rows from which on a column may be left out, or warned of, for what its cells look like."""
_RECURS = 3
"""Rows from which on a text recurs."""
_TEXT_WORDS = 3
"""Words a cell from which on different texts are free text, no names."""
_COMPACT = (19000101, 20991231)
"""Whole numbers between which 20240131 is."""
_UNNAMED = "Unnamed: 0"
"""A first column without a heading: in most files the names of the rows."""
_log = logging.getLogger("autokd")


class Reading(NamedTuple):
    """How a column is read.

    Args:
      form: of its numbers; None: it has none.
      pattern: of its dates; None: it has none.
    """

    form: str | None = None
    pattern: str | None = None

    def strays(self, values: Series) -> list[int]:
        """Return the positions of cells that are no numbers, or dates, of a column of such."""
        if self.pattern is not None:
            cells = tables.texts(values)
            none = np.flatnonzero(dates.parse(cells, self.pattern).isna())
            return [row for row in none.tolist() if cells[row] is not None]
        return [] if self.form is None else tables.numbers(values, self.form)[1]


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
    readings = read_columns(frame)
    frame = without_strays(frame, readings, "table")
    for name in map(str, frame.columns):
        column = _fit(frame[name], name, readings[name], is_first=name == _UNNAMED)
        if isinstance(column, str):
            dropped[name] = column
        else:
            kept.append(column)
    if not kept:
        reasons = "; ".join(f"{name!r} is left out: {reason}" for name, reason in dropped.items())
        raise DataError(f"no column can be used as a feature: {reasons or 'there is only the label'}")
    return tuple(kept), dropped


def read_columns(frame: DataFrame) -> dict[str, Reading]:
    """Return how each column is read, by name."""
    texts = {str(name): _counted(frame[name]) for name in frame.columns if not tables.is_numeric(frame[name])}
    forms = numerals.forms(texts)
    return {name: _reading(name, texts.get(name), forms.get(name), frame[name]) for name in map(str, frame.columns)}


def without_strays(frame: DataFrame, readings: Mapping[str, Reading], source: str) -> DataFrame:
    """Return a table where the few cells that are no numbers in a column of such are missing, said in a line each."""
    for name, reading in readings.items():
        rows = reading.strays(frame[name])
        if rows:
            cell = str(frame[name].iloc[rows[0]]).strip()
            what = "numbers" if reading.pattern is None else "dates"
            where = tables.place(frame[name], rows[0])
            _log.warning(
                "%s, column %r: %d of %d cells are no %s and count as missing, the first is %r in %s",
                *(source, name, len(rows), len(frame), what, cell, where),
            )
            values = frame[name].astype(object).copy()
            values.iloc[rows] = None
            frame = frame.assign(**{name: values})
    return frame


def may_be_missing(column: Column, values: Series, strays: list[int]) -> bool:
    """Whether cells that are no numbers (or dates) count as missing when such a column is learnt.

    Args:
      column: as it was fitted.
      values: new cells of it.
      strays: positions of those that are no numbers (or dates).
    """
    if len(strays) <= STRAY_SHARE * len(values):
        return True
    counts = _counted(values)
    if isinstance(column, DateColumn):
        return dates.are_dates(list(counts), column.pattern)
    return isinstance(column, NumericColumn) and _are_numbers(counts, column.form)


def _counted(values: Series) -> Counter[str]:
    return Counter(cell for cell in tables.texts(values) if cell is not None)


def _reading(name: str, counts: Counter[str] | None, written: numerals.Written | None, values: Series) -> Reading:
    if counts is None or written is None:  # numbers as such; whole ones may be dates
        dated = pd.api.types.is_integer_dtype(values) and values.between(*_COMPACT).all()
        return Reading(numerals.PLAIN, dates.compact_pattern(list(_counted(values))) if dated else None)
    if written.form == numerals.PLAIN and not written.strays:
        return Reading(numerals.PLAIN, dates.compact_pattern(list(counts)))
    pattern = dates.pattern_of(list(counts), name)
    if pattern is not None or not _are_numbers(counts, written.form):
        return Reading(None, pattern)
    return Reading(written.form)


def _are_numbers(counts: Counter[str], form: str) -> bool:
    """Whether a column is one of numbers, though some of its cells may be none."""
    strays = Counter({cell: count for cell, count in counts.items() if math.isnan(numerals.number(cell, form))})
    different = len(counts) - len(strays)
    if not strays or different < 2:
        return not strays
    return _few_or_alike(strays, counts.total(), different) or (
        _no_categories(counts, counts.total()) and strays.total() < counts.total() / 2
    )


def _few_or_alike(strays: Counter[str], cells: int, different: int) -> bool:
    """Whether cells that are no numbers are so few, or so much alike, beside so many different numbers."""
    many = different > _MANY_NUMBERS
    most = STRAY_SHARE if many or strays.total() == 1 else _FEW_STRAYS
    return strays.total() <= most * cells or (many and len(strays) == 1)  # one code for missing


def _no_categories(counts: Counter[str], rows: int) -> bool:
    """Whether a column's texts are too many to be categories, and hardly any of them recurs."""
    recur = sum(count for count in counts.values() if count >= _RECURS)
    return rows >= _MIN_ROWS and len(counts) > rows / 2 and recur < rows / 4


def _fit(values: Series, name: str, reading: Reading, *, is_first: bool) -> Column | str:
    """Return the fitted column, or why it is left out."""
    cells = tables.texts(values)
    if len(set(cells)) < 2:
        return "constant"
    if is_first and len(cells) >= _MIN_ROWS and len(set(cells)) == len(cells) and not _has_fractions(values):
        _log.warning("the first column has no heading and is left out: it names the rows")
        return "names of rows"
    if reading.pattern is not None:
        return _fit_dates(cells, name, reading.pattern)
    return _fit_categorical(cells, name) if reading.form is None else _fit_numeric(values, name, reading.form)


def _has_fractions(values: Series) -> bool:
    found, _ = tables.numbers(values)
    return bool((found[~np.isnan(found)] % 1 != 0).any())


def _fit_numeric(values: Series, name: str, form: str) -> NumericColumn:
    found = finite_numbers(values, name, form)
    absent = np.isnan(found)
    _warn_of_row_numbers(found[~absent], name)
    median, mean, scale = _moments(found)
    return NumericColumn(name=name, median=median, mean=mean, scale=scale, missing=bool(absent.any()), form=form)


def _moments(found: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median of what is there, then mean and standard deviation with it in place of what is not."""
    absent = np.isnan(found)
    median = float(np.median(found[~absent]))
    filled = np.where(absent, median, found)
    mean = math.fsum(filled) / len(filled)  # fsum rounds once: the same on every machine
    scale = math.sqrt(math.fsum((filled - mean) ** 2) / len(filled))
    return median, mean, scale or 1.0


def _fit_dates(cells: list[str | None], name: str, pattern: str) -> DateColumn | str:
    found = dates.parts(dates.parse(cells, pattern))
    there = found[~np.isnan(found[:, 0])]
    differ = [at for at in range(len(dates.PARTS)) if len(np.unique(there[:, at])) > 1]
    if not differ:
        return "constant"
    medians, means, scales = zip(*(_moments(found[:, at]) for at in differ), strict=True)
    return DateColumn(
        name=name,
        pattern=pattern,
        parts=tuple(dates.PARTS[at] for at in differ),
        medians=medians,
        means=means,
        scales=scales,
        missing=len(there) < len(found),
    )


def _fit_categorical(cells: list[str | None], name: str) -> CategoricalColumn | str:
    counts = Counter(cell for cell in cells if cell is not None)
    if _no_categories(counts, len(cells)):
        return _left_out(counts, name, len(cells))
    frequent = _frequent(counts, len(cells))
    complete = len(frequent) == len(counts)
    if not complete:
        rare = counts.total() - sum(counts[cell] for cell in frequent)
        _log.warning(
            "column %r: %d rare categories (%d of %d rows) count as none of the %d frequent ones",
            *(name, len(counts) - len(frequent), rare, len(cells), len(frequent)),
        )
    return CategoricalColumn(name=name, categories=tuple(sorted(frequent)), missing=None in cells, complete=complete)


def _left_out(counts: Counter[str], name: str, rows: int) -> str:
    """Say that texts are no categories; return what they are instead."""
    is_text = sum(len(cell.split()) for cell in counts) >= _TEXT_WORDS * len(counts)
    looks = "is free text, which is not read" if is_text else "look like an identifier"
    if units := _units(counts):
        looks = f"are numbers with {' or '.join(units)} behind them; write the numbers alone, and they are used"
    _log.warning("column %r is left out: %d different texts in %d rows %s", name, len(counts), rows, looks)
    return "text" if is_text else "identifier"


def _units(cells: Collection[str]) -> list[str]:
    """What stands behind each number of cells that are all numbers with one of a few units."""
    found = [_UNIT.fullmatch(cell) for cell in cells]
    units = sorted({match["unit"] for match in found if match})
    return units if all(found) and len(units) <= _FEW_UNITS else []


def _frequent(counts: Counter[str], rows: int) -> list[str]:
    """The categories that get a number of their own; of a few among many names those that recur."""
    least = _RECURS if rows >= _MIN_ROWS and len(counts) > rows / 2 else 1
    enough = (cell for cell, count in counts.items() if count >= least)
    return sorted(enough, key=lambda cell: (-counts[cell], cell))[:MAX_CATEGORIES]


def _warn_of_row_numbers(found: NDArray[np.float64], name: str) -> None:
    whole = len(found) >= _MIN_ROWS and bool((found % 1 == 0).all())
    if whole and len(np.unique(found)) == len(found) and found.max() - found.min() < 2 * len(found):
        _log.warning("column %r looks like a row number and may give the label away; remove it if it is one", name)
