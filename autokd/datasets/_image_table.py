"""A table of image files and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame

from autokd.data_types import DataContext, Raw
from autokd.datasets.layout import SPLITS
from autokd.datasets.picture_table import path_columns, picture_at
from autokd.datasets.pictures import Listed, read_pictures
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.modalities import tables

_SPLIT_COLUMN = "split"


class _Columns(NamedTuple):
    """What the columns of the table are."""

    path: str
    target: str
    group: str | None
    split: str | None


class _Row(NamedTuple):
    """A picture as the table has it."""

    part: str
    label: str
    path: Path
    group: str | None


class _Table(NamedTuple):
    """The pictures of a table, and what is said of it."""

    rows: Sequence[_Row]
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageTable:
    """A CSV, TSV or Parquet file with a column of image files, beside the table or below its folder, and their labels.

    A column called split, of the words train, val and test, says which split an image belongs to. Images are read as
    those of a folder are.
    """

    declares = Dataset(modality="image")

    file: str  # the table
    target: str | None = None  # the label column; needed where there are more than two columns
    group: str | None = None  # column whose equal values stay in one split
    validation: str | None = None  # a table of the same form to validate on
    ground: str | None = None  # what transparent images are laid on, white or black; None for white

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        table = self._table(Path(self.file))
        both = [table] if self.validation is None else [table, self._table(Path(self.validation), "validation")]
        classes = tables.in_order([row.label for row in table.rows if row.part == "train"])
        rows = [row for read in both for row in read.rows if row.part != "validation" or read is both[-1]]
        missing = [row for row in rows if not row.path.is_file()]
        if missing and not context.skip_bad:
            raise DataError(f"{missing[0].path}: no such file, which {self.file} names; add it, or give --skip-bad")
        _check_labels(rows, self.file)
        there = [row for row in rows if row.path.is_file()]
        labels = tables.indices([row.label for row in there], classes, self.file)
        listed = [Listed(row.part, int(i), row.path, row.group) for row, i in zip(there, labels, strict=True)]
        found = read_pictures(listed, context, self.ground)
        return Raw(
            name=Path(self.file).stem,
            modality="image",
            classes=classes,
            skipped=(*(str(row.path) for row in missing), *found.skipped),
            reading=found.reading,
            remarks=(*table.remarks, *found.remarks),
            **found.parts,
        )

    def _table(self, file: Path, part: str | None = None) -> _Table:
        """Read a table; `part` is the split of all its rows, where it is not for the table to say."""
        frame = tables.read_table(file)
        columns = self._columns(frame, file)
        labels = tables.class_names(
            tables.column(frame, columns.target, str(file)), f"{file}, column {columns.target!r}"
        )
        paths = [picture_at(str(name), file) for name in tables.texts(frame[columns.path])]
        groups = _cells(frame, columns.group, file)
        parts = [part or "train"] * len(frame)
        if part is None and columns.split is not None:
            parts = [_part(word, columns.split, file) for word in _cells(frame, columns.split, file)]
        rows = [_Row(*row) for row in zip(parts, labels, paths, groups, strict=True)]
        if part is None and "train" not in parts:
            raise DataError(f"{file}: the column {columns.split!r} has no row of train")
        unused = [str(name) for name in frame.columns if name not in columns]
        remark = f"only the pictures are learned from; unused columns: {', '.join(unused)}"
        return _Table(rows, (remark,) if unused else ())

    def _columns(self, frame: DataFrame, file: Path) -> _Columns:
        """Return what the columns are, or raise."""
        found = [name for name in path_columns(frame) if name not in (self.target, self.group)]
        if not found:
            raise DataError(f"{file}: no column names image files")
        others = [str(name) for name in frame.columns if name not in (found[0], self.group)]
        split = next((name for name in others if name.lower() == _SPLIT_COLUMN and name != self.target), None)
        left = [name for name in others if name != split]
        target = left[0] if self.target is None and len(left) == 1 else self.target
        if target is None:
            raise DataError(f"{file}: say with --target which column is the label; columns: {', '.join(others)}")
        return _Columns(found[0], target, self.group, split)


def _cells(frame: DataFrame, name: str | None, file: Path) -> list[str | None]:
    """Return the cells of a column as text; all None without one."""
    return [None] * len(frame) if name is None else [str(cell) for cell in tables.column(frame, name, str(file))]


def _part(word: str | None, column: str, file: Path) -> str:
    found = SPLITS.get(str(word).strip().lower())
    if found is None:
        raise DataError(f"{file}: the column {column!r} says {word!r}, which is no split; expected train, val or test")
    return found


def _check_labels(rows: Sequence[_Row], file: str) -> None:
    """Refuse a picture with two labels."""
    seen: dict[Path, str] = {}
    for row in rows:
        label = seen.setdefault(row.path, row.label)
        if label != row.label:
            raise DataError(f"{file}: {row.path} has the labels {label!r} and {row.label!r}; a picture has one")
