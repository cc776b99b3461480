"""Tables written as text, as spreadsheets, R and instruments write them: encoding, delimiter, heading, row names."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import dropwhile, islice
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame, MultiIndex

from autokd.errors import DataError

PLACE = ("row", "line")
"""Names of the index of a table that was read from a text file: each row's number, from 1, and its line there."""

_DELIMITERS = (";", "\t", "|", ",")
"""In the order in which they are taken where several would do: commas stand in numbers and in prose too."""
_LOOKED_AT = 100
"""Records by which the delimiter is found."""
_TOP = 20
"""Records among which the heading is."""
_NEARLY = 0.9
"""Share of the rows that are as long as each other where the delimiter is the right one."""
_MARKS = (
    *((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
)
_MOST = 0.4
"""Share of the bytes that are zero in a text of two bytes a letter."""
_OTHER_KINDS = {
    b"PK\x03\x04": "a workbook or a zip archive: save the sheet as CSV, or unpack it",
    b"\x93NUMPY": "a NumPy array: give arrays in Python, as (X, y)",
    b"\x80": "a pickle: save the table as CSV or Parquet",
    b"ARROW1": "a Feather file: save it as Parquet",
    b"FEA1": "a Feather file: save it as Parquet",
    b"\x89HDF": "an HDF5 file: save it as CSV or Parquet",
    b"SQLite format": "a database: save the table as CSV or Parquet",
    b"\xd0\xcf\x11\xe0": "an old workbook: save the sheet as CSV",
    b"\x1f\x8b": "compressed: unpack it",
    b"BZh": "compressed: unpack it",
    b"\xfd7zXZ": "compressed: unpack it",
    b"PAR1": "a Parquet file: call it .parquet",
    b"%PDF": "a PDF document: save its table as CSV",
}
"""How files begin that are no text, and what they are."""
_OTHER_TEXTS = {(b"{", b"}"): "JSON", (b"[{", b"]"): "JSON", (b"<", b">"): "a page or XML"}
"""How texts begin and end that are no table."""
_log = logging.getLogger("autokd")


class _Record(NamedTuple):
    """Cells between two line ends, and the line of the file on which they begin."""

    line: int
    cells: list[str]

    @property
    def is_comment(self) -> bool:
        return self.cells[0].startswith("#")


def read_text(path: Path, single: Collection[str] = (), encoding: str | None = None) -> DataFrame:
    """Read a delimited text file; its cells stay text, and its index is the number and the line of each row.

    Lines above the heading that are no part of the table are passed over, and so are names of rows that have no
    heading; each is said in one line.

    Args:
      path: of the file.
      single: names that at most one column may have.
      encoding: of a file without a mark; None: found by looking.

    Raises:
      DataError: two columns have such a name, a row has another number of cells than the others, or the heading has.
      ValueError, csv.Error: it is no text, or empty, or a quotation mark is never closed.
    """
    lines = list(io.StringIO(_decoded(path, encoding)))
    if not any(map(str.strip, lines)):
        raise ValueError("it is empty")
    delimiter = _delimiter(lines)
    records = list(_records(lines, delimiter))
    _check_closed(lines[records[-1].line - 1 :], records[-1].line, delimiter)
    at = _heading(records)
    if at:
        _log.warning("%s: the %d line(s) above the heading in line %d are left out", path, at, records[at].line)
    return _table(path, records[at], records[at + 1 :], single)


def _decoded(path: Path, named: str | None) -> str:
    """The text of a file, with one kind of line end."""
    content = path.read_bytes()
    _check_kind(content)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), named) or _without_mark(content)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise ValueError(f"there is no encoding called {encoding!r}; cp1251, gbk and shift_jis are some") from None
    except UnicodeDecodeError as error:
        if named is not None:
            raise ValueError(f"it is not {encoding}: line {content.count(10, 0, error.start) + 1}") from None
        text = _latin(content, encoding)
        _log.warning("%s is not UTF-8; it is read as Windows-1252 (Latin-1), unless --encoding names another", path)
    if "\0" in text:
        raise ValueError("it holds bytes that are no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_mark(content: bytes) -> str:
    """The encoding of a text that has no mark: UTF-16 where every second byte is zero, else UTF-8."""
    first, second = (content[at::2].count(0) / max(1, len(content)) for at in (0, 1))
    if max(first, second) < _MOST or min(first, second) > 0.1 * _MOST:
        return "utf-8"
    return "utf-16-be" if first > second else "utf-16-le"


def _latin(content: bytes, encoding: str) -> str:
    """A text that is not UTF-8, as Windows-1252."""
    try:
        if encoding == "utf-8" and b"\0" not in content:
            return content.decode("cp1252")
    except UnicodeDecodeError:
        pass
    raise ValueError("its encoding is none of UTF-8, UTF-16, Windows-1252: name it with --encoding, or save as UTF-8")


def _check_kind(content: bytes) -> None:
    """Refuse files of other kinds by their name."""
    if content.startswith(b"PK") and b".npy" in content[:200]:
        raise ValueError("it holds NumPy arrays: give them in Python, as (X, y)")
    for mark, kind in _OTHER_KINDS.items():
        if content.startswith(mark):
            raise ValueError(f"it is {kind}")
    for (start, end), kind in _OTHER_TEXTS.items():
        if content.startswith(start) and content.rstrip().endswith(end):
            raise ValueError(f"it is {kind}: save it as CSV or Parquet")
    if re.search(rb"^@relation\s", content, re.IGNORECASE | re.MULTILINE) and b"@data" in content.lower():
        raise ValueError("it is an ARFF file: save it as CSV or Parquet")


def _records(lines: Iterable[str], delimiter: str) -> Iterator[_Record]:
    """Take lines apart; those without anything are passed over."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(
            (line.strip(" \n") + "\n" for line in lines) if delimiter == " " else lines,
            delimiter=delimiter,
            skipinitialspace=True,
        )
        line = 1
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield _Record(line, cells)
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _check_closed(last: list[str], line: int, delimiter: str) -> None:
    """Refuse a quotation mark in the last record that is never closed."""
    try:
        list(csv.reader(last, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise ValueError(f"a quotation mark that opens in line {line} is never closed") from None


def _delimiter(lines: list[str]) -> str:
    """What stands between cells: of what makes rows as long as each other, the one that the heading has most of.

    Where decimal commas cut rows alike and the heading not at all, that would be a title above the table: what leaves
    fewer lines above it goes first.
    """
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip("\n")) == len("sep=x"):
        delimiter, lines[0] = lines[0][4], "\n"
        return delimiter
    found = {mark: list(islice(_records(lines, mark), _LOOKED_AT)) for mark in (*_DELIMITERS, " ")}
    best = max(_DELIMITERS, key=lambda mark: (_agree(found[mark]), -_lines_above(found[mark]), _names(found[mark])))
    return " " if _names(found[best]) < 2 and _all_agree(found[" "]) else best


def _lines_above(records: list[_Record]) -> int:
    return records[_heading(records)].line if records else 0


def _names(records: list[_Record]) -> int:
    return len(records[_heading(records)].cells) if records else 0


def _agree(records: list[_Record]) -> bool:
    """Whether nearly all rows have as many cells, and more than one."""
    rows = records[_heading(records) + 1 :]
    width = _width(rows) if rows else 1
    return width > 1 and sum(len(row.cells) == width for row in rows) >= _NEARLY * len(rows)


def _all_agree(records: list[_Record]) -> bool:
    """Whether blanks stand between cells: heading and rows have as many words, or the rows one more each."""
    widths = {len(record.cells) for record in records[1:]}
    return len(widths) == 1 and len(records[0].cells) > 1 and min(widths) - len(records[0].cells) in (0, 1)


def _heading(records: list[_Record]) -> int:
    """Position of the heading: the first record that is no comment, title or empty line above the table."""
    width, top = _width(records[1:] or records), records[:_TOP]
    above = _is_comment if _are_comments(records) else _is_title
    return next((at for at, each in enumerate(top) if not above(each, records[at + 1 : at + 2], width)), 0)


def _are_comments(records: list[_Record]) -> bool:
    """Whether records that begin with # are comments, not cells: they all stand above the table."""
    below = list(dropwhile(lambda each: each.is_comment, dropwhile(lambda each: not each.is_comment, records)))
    return bool(below) and not any(each.is_comment and len(each.cells) > 1 for each in below)


def _is_comment(record: _Record, following: list[_Record], width: int) -> bool:
    """Whether a record above the table is a comment or a title; the last # may begin the heading."""
    if not record.is_comment:
        return _is_title(record, following, width)
    cells = len(record.cells)
    return any(each.is_comment for each in following) or cells == 1 < width or cells not in (width, width - 1)


def _is_title(record: _Record, following: list[_Record], width: int) -> bool:
    """Whether a record has hardly any of the cells that rows have."""
    said = [cell.strip() for cell in record.cells if cell.strip()]
    return len(said) < 2 and (width > 2 or (width == 2 and (not said or " " in said[0])))


def _width(records: list[_Record]) -> int:
    """How many cells most records have."""
    return Counter(len(record.cells) for record in records).most_common(1)[0][0]


def _table(path: Path, heading: _Record, rows: list[_Record], single: Collection[str]) -> DataFrame:
    names = list(heading.cells)
    last = len(names) - 1
    if last and not names[last].strip() and not _any_from(last, rows):
        names.pop()  # every line ends with a delimiter
    bare = bool(rows) and _width(rows) == len(names) + 1 and _any_from(len(names), rows)
    if bare:
        _log.warning("%s: the first cell of each row has no heading and is taken for the row's name", path)
    cells = [_fitted(path, row, heading, len(names) + bare)[bare:] for row in rows]
    columns = zip(*cells, strict=True) if cells else ((),) * len(names)
    index = MultiIndex.from_arrays([range(1, len(rows) + 1), [row.line for row in rows]], names=PLACE)
    return DataFrame(dict(enumerate(columns)), dtype=str, index=index).set_axis(_distinct(path, names, single), axis=1)


def _any_from(place: int, rows: list[_Record]) -> bool:
    """Whether any row has something at a place or behind it."""
    return any(cell.strip() for row in rows for cell in row.cells[place:])


def _fitted(path: Path, row: _Record, heading: _Record, width: int) -> list[str]:
    """The cells of a row; empty ones too many at its end are cut off."""
    if any(cell.strip() for cell in row.cells[width:]) or len(row.cells) < width:
        raise DataError(
            f"{path}: line {row.line} has {len(row.cells)} cell(s), and by the heading in line {heading.line} "
            f"it should have {width}; look for a delimiter or a quotation mark that is missing there, or too many"
        )
    return row.cells[:width]


def _distinct(path: Path, names: list[str], single: Collection[str]) -> list[str]:
    """Names that are all there and all different, as pandas makes them: "Unnamed: 2" for none, a.1 for a second a."""
    given = [name if name.strip() else f"Unnamed: {at}" for at, name in enumerate(names)]
    made: list[str] = []
    for name in given:
        made.append(name if name not in made else _another(name, {*given, *made}))
    for name, count in sorted(Counter(given).items()):
        if count > 1:
            _tell_repeated(path, name, [at for at, each in enumerate(given) if each == name], made, single)
    return made


def _another(name: str, taken: set[str]) -> str:
    return next(each for count in range(1, len(taken) + 1) if (each := f"{name}.{count}") not in taken)


def _tell_repeated(path: Path, name: str, places: list[int], made: list[str], single: Collection[str]) -> None:
    said = f"{path}: the columns {' and '.join(str(at + 1) for at in places)} are both called {name!r}"
    if name.strip() in single:
        raise DataError(f"{said}; give the one that is not meant another name, or remove it")
    _log.warning("%s; they are taken as %s", said, ", ".join(repr(made[at]) for at in places))
