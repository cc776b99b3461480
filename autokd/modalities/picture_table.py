"""Tables that name picture files: which tables are such, and which column does."""

from __future__ import annotations

from pathlib import Path

from pandas import DataFrame

from autokd.errors import DataError
from autokd.modalities import tables
from autokd.modalities.picture_files import SUFFIXES

_PEEK = 1 << 16
"""Bytes at the beginning of a text file in which the name of a picture must stand."""
_PARQUET = frozenset({".parquet", ".pq"})


def names_pictures(file: Path, encoding: str | None = None) -> bool:
    """Whether a table is a list of picture files: a column names such files, and they are there.

    A table of two columns, one of which names picture files, is such a list even where the files are missing.
    """
    if not file.is_file() or not _may_name_pictures(file):
        return False
    try:
        frame = tables.read_table(file, (), encoding)
    except DataError:
        return False  # whoever reads it says what is wrong with it
    found = path_columns(frame)
    return bool(found) and (len(frame.columns) <= 2 or _first(frame, found[0], file).is_file())


def path_columns(frame: DataFrame) -> list[str]:
    """Return the columns of a table all of whose cells are names of picture files."""
    names = [str(name) for name in frame.columns]
    return [name for name in names if names.count(name) == 1 and _all_pictures(frame, name)]


def read_list(file: Path, encoding: str | None = None) -> tuple[DataFrame, list[str]]:
    """Read a table that names picture files; return it and its columns that do.

    Args:
      file: the table.
      encoding: of a text file without a mark; None: found by looking.

    Raises:
      DataError: it is no table, no column names picture files, a row names none, or the first line is a row.
    """
    frame = tables.read_table(file, (), encoding)
    found = path_columns(frame)
    for name in filter(_is_picture, found):
        raise DataError(
            f"{file}: the first line names the picture {name}, and should name the columns; put a line such as "
            "file,label above it"
        )
    if not found:
        raise DataError(f"{file}: {_missing(frame) or 'no column names image files'}")
    return frame, found


def _missing(frame: DataFrame) -> str | None:
    """Say which row names no picture, of a column that names some; None where there is no such column."""
    for name in map(str, frame.columns):
        cells = tables.texts(frame[name])
        none = [row for row, cell in enumerate(cells) if not _is_picture(cell)]
        if len(none) < len(cells):
            where = tables.place(frame[name], none[0])
            return f"column {name!r} names image files, but {cells[none[0]] or 'none'} in {where}; remove that row"
    return None


def pictures_of(file: Path, encoding: str | None = None) -> tuple[Path, ...]:
    """Return the picture files that a table names, whether or not they are there.

    Raises:
      DataError: it is no table, or no column names picture files.
    """
    if not _may_name_pictures(file):
        raise DataError(f"{file}: neither a picture nor a table of pictures; give images, or a table that names them")
    frame, found = read_list(file, encoding)
    return tuple(picture_at(str(name), file) for name in tables.texts(frame[found[0]]))


def picture_at(name: str, file: Path) -> Path:
    """Return where a picture is that a table names: beside the table, or in the current folder if it is there only.

    Backslashes stand for folders, as Windows writes them, where no file has them in its name.
    """
    places = [folder / text for text in (name, name.replace("\\", "/")) for folder in (file.parent, Path())]
    return next((place for place in places if place.exists()), places[0])


def _may_name_pictures(file: Path) -> bool:
    """Whether a file has the ending of a picture near its beginning; Parquet files are looked into whole."""
    if file.suffix.lower() in _PARQUET:
        return True
    with file.open("rb") as source:
        start = source.read(_PEEK).lower()
    return any(suffix.encode() in start for suffix in SUFFIXES)


def _all_pictures(frame: DataFrame, name: str) -> bool:
    return all(map(_is_picture, tables.texts(frame[name])))


def _is_picture(cell: str | None) -> bool:
    return cell is not None and Path(cell).suffix.lower() in SUFFIXES


def _first(frame: DataFrame, column: str, file: Path) -> Path:
    return picture_at(str(tables.texts(frame[column])[0]), file)
