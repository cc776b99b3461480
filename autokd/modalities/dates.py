"""Dates and times of day as numbers: when, and the parts of it that may matter."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DatetimeIndex, Series

ISO = "ISO8601"
PARTS = ("days", "year", "month", "day", "weekday", "hour")
"""Numbers of a date: days since 1970 with the time of day as a fraction, then what a calendar and a clock show."""

_DAYS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d. %B %Y", "%d-%b-%y"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d%b%Y"),
)
_MONTHS = ("%m/%Y", "%m.%Y", "%b %Y", "%B %Y", "%b-%Y", "%Y/%m", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S")
"""Months of years, and the days and times that have no colon."""
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f")
_TIMES = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %Z")
_LOOKS_ISO = re.compile(r"\d{4}-\d{1,2}(-\d{1,2}([T ]\d{1,2}:\d{2}.*)?)?")
_LOOKS_COMPACT = re.compile(r"(19|20)\d{6}(\d{6})?")
_LOOKS_DATED = re.compile(r"(?=.*\d).*(\d[-/.]\d|\d:\d|[A-Za-z]{3}|\d{4}).*")
_SOME = 1000
"""Cells by which a pattern is found."""
_ENOUGH = 0.9
"""Share of the cells that are dates in a column of dates."""
_COMPACT_FROM = 20
"""Distinct numbers from which on 20240131 is a date."""
_log = logging.getLogger("autokd")


class _Tried(NamedTuple):
    pattern: str
    share: float


def pattern_of(cells: Sequence[str], name: str) -> str | None:
    """Return how the dates of a column are written, for `pandas.to_datetime`; None where they are no dates.

    Args:
      cells: distinct, not missing.
      name: of the column, for the warning where day and month cannot be told apart.
    """
    if not cells or _share_like(_LOOKS_DATED, cells) < _ENOUGH:
        return None
    some = cells[:_SOME]
    if _share_like(_LOOKS_ISO, some) >= _ENOUGH:
        return ISO if _share(cells, ISO) >= _ENOUGH else None
    tried = [_Tried(pattern, _share(some, pattern)) for pattern in _patterns(":" in some[0])]
    best = max(tried, key=lambda each: each.share)  # the first of equals
    if best.share < _ENOUGH:
        return None
    return _settled(best, some[0], name) if best._replace(pattern=_swapped(best.pattern)) in tried else best.pattern


def _patterns(timed: bool) -> list[str]:
    """Patterns to try, those with a time of day or those without."""
    clocks = [clock for clock in _CLOCKS if bool(clock) == timed]
    return [*(_TIMES if timed else _MONTHS), *(day + clock for day in _DAYS for clock in clocks)]


def _settled(best: _Tried, cell: str, name: str) -> str:
    """Choose, of two patterns that fit as well, the American one with slashes and else the one with the day first."""
    rival = _swapped(best.pattern)
    if rival == best.pattern:
        return rival
    chosen = best.pattern if "/" in best.pattern else min(best.pattern, rival)
    order = "month before day" if chosen.startswith("%m") else "day before month"
    _log.warning("column %r: dates such as %s may be read in two ways; they are read with the %s", name, cell, order)
    return chosen


def _share_like(looks: re.Pattern[str], cells: Sequence[str]) -> float:
    return sum(bool(looks.fullmatch(cell)) for cell in cells) / len(cells)


def compact_pattern(cells: Sequence[str]) -> str | None:
    """Return how the dates of a column are written that are whole numbers, 20240131; None where they are no dates."""
    if len(cells) < _COMPACT_FROM or not all(map(_LOOKS_COMPACT.fullmatch, cells)):
        return None
    return next((pattern for pattern in ("%Y%m%d", "%Y%m%d%H%M%S") if _share(cells, pattern) == 1), None)


def are_dates(cells: Sequence[str], pattern: str) -> bool:
    """Whether distinct cells are dates in a pattern, but for as few as there may be in a column of dates."""
    return bool(cells) and _share(cells, pattern) >= _ENOUGH


def as_written(values: Series, pattern: str) -> Series:
    """Return cells that are dates as such as text in a pattern, and 20240131.0 as 20240131; others as they are.

    A column of whole numbers has such fractions where one of its cells is missing.
    """
    kinds = pd.api.types
    if not any(
        is_kind(values) for is_kind in (kinds.is_datetime64_any_dtype, kinds.is_object_dtype, kinds.is_float_dtype)
    ):
        return values
    return Series([_written(cell, pattern) for cell in values.tolist()], index=values.index, dtype=object)


def _written(cell: object, pattern: str) -> object:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if pattern == ISO or not isinstance(cell, datetime.date) or pd.isna(cell):
        return cell
    return cell.strftime(pattern)


def parse(cells: Sequence[str | None], pattern: str) -> DatetimeIndex:
    """Return cells as dates in UTC, NaT where missing or none."""
    return DatetimeIndex(pd.to_datetime(np.array(cells, dtype=object), format=pattern, errors="coerce", utc=True))


def parts(found: DatetimeIndex) -> NDArray[np.float64]:
    """Return [n, 6]: see `PARTS`; NaN where there is no date."""
    days = (found - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    shown = (found.year, found.month, found.day, found.day_of_week, found.hour)
    return np.stack([np.asarray(part, dtype=np.float64) for part in (days, *shown)], axis=1)


def _share(cells: Sequence[str], pattern: str) -> float:
    return float(np.mean(parse(cells, pattern).notna()))


def _swapped(pattern: str) -> str:
    """The same with day and month exchanged."""
    return pattern.replace("%m", "%?").replace("%d", "%m").replace("%?", "%d")
