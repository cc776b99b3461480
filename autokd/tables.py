"""Tables that people open in a spreadsheet."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_csv(frame: DataFrame) -> DataFrame:
    """Return a copy whose texts a spreadsheet takes as texts: those that would be read as formulas get a leading quote.

    Cells, column names and the index are looked at; numbers are left alone.
    """
    columns = {position: frame.iloc[:, position].map(escape_cell) for position in range(frame.shape[1])}
    escaped = DataFrame(columns, index=frame.index)
    escaped.columns = frame.columns.map(escape_cell)
    escaped.index = frame.index.map(escape_cell)
    return escaped


def escape_cell(value: Any) -> Any:
    """Return a text that starts with = + - @, a tab or a carriage return behind a quote, anything else as it is.

    Example:
      >>> escape_cell("=1+1"), escape_cell("width"), escape_cell(-1)
      ("'=1+1", 'width', -1)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
