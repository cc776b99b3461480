"""Tables that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame  # reports write tables without waiting for pandas

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_csv(frame: DataFrame, exact: Iterable[str] = ()) -> DataFrame:
    """Return a copy whose texts a spreadsheet takes as texts; see `escape_cell`.

    Cells, column names and the index are looked at.

    Args:
      frame: the table.
      exact: columns that other programs compare with what they have; only what a spreadsheet would run is changed
        there, see `runs_in_a_spreadsheet`, not what it would merely show as an error.
    """
    kept = {name: frame[name].map(lambda cell: f"'{cell}" if runs_in_a_spreadsheet(cell) else cell) for name in exact}
    escaped = frame.map(escape_cell).assign(**kept)
    escaped.columns = frame.columns.map(escape_cell)
    escaped.index = frame.index.map(escape_cell)
    return escaped


def csv_text(frame: DataFrame) -> str:
    """Return a table as CSV without its index, line ends inside cells in quotes, whatever they are."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (list(frame.columns), *frame.itertuples(index=False, name=None)):
        (quoted if any("\r" in cell for cell in row if isinstance(cell, str)) else writer).writerow(row)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str] = ()) -> None:
    """Write rows as a CSV file whose texts a spreadsheet takes as texts; see `escape_cell`.

    Args:
      path: of the file.
      rows: by column; what a row lacks, or has as None, is an empty cell.
      columns: that come first; others follow in the order in which they first occur.
    """
    rows = list(rows)
    header = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([escape_cell(key) for key in header])
        writer.writerows([[escape_cell(row.get(key)) for key in header] for row in rows])


def escape_cell(value: Any) -> Any:
    """Return a text that a spreadsheet would take for a formula behind an apostrophe, anything else as it is.

    A formula starts with = + - @, a tab or a carriage return; a number written as text is none.

    Example:
      >>> escape_cell("=1+1"), escape_cell("width"), escape_cell("-1"), escape_cell(-1)
      ("'=1+1", 'width', '-1', -1)
    """
    formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS) and not _is_number(value)
    return f"'{value}" if formula else value


def runs_in_a_spreadsheet(value: Any) -> bool:
    """Whether a spreadsheet that opens a CSV file would compute something of a cell, or call another program.

    Example:
      >>> [runs_in_a_spreadsheet(cell) for cell in ("=1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "@home", "-1", "+", -1)]
      [True, True, True, False, False, False, False]
    """
    text = value.lstrip("\t\r\n") if isinstance(value, str) else ""
    calls = text[:1] == "=" or (text[:1] in ("+", "-", "@") and any(sign in text for sign in "(|!"))
    return calls and any(map(str.isalnum, text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
