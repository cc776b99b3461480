"""A table of image files and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame

from autokd.data_types import DataContext, Raw
from autokd.datasets.layout import SPLITS
from autokd.datasets.pictures import Listed, read_pictures
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.modalities import labels as labels_of
from autokd.modalities import tables
from autokd.modalities.picture_table import picture_at, read_list

_WITHOUT_LABELS = "leave them out; pictures without labels are given as a folder of their own with --unlabelled"
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
    encoding: str | None = None  # of a text file without a mark, as Python names it: cp1251, gbk

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        table = self._table(Path(self.file))
        rows = table.rows
        if self.validation is not None:
            kept = [row for row in rows if row.part != "validation"]
            rows = [*kept, *(row._replace(part="validation") for row in self._table(Path(self.validation)).rows)]
        classes = _classes(rows, self.file)
        there, missing = _found(rows, self.file, skip_bad=context.skip_bad)
        labels = labels_of.indices([row.label for row in there], classes, self.file)
        listed = [Listed(row.part, int(i), row.path, row.group) for row, i in zip(there, labels, strict=True)]
        found = read_pictures(listed, context, self.ground)
        return Raw(
            name=Path(self.file).stem,
            modality="image",
            classes=classes,
            skipped=(*missing, *found.skipped),
            reading=replace(found.reading, encoding=self.encoding),
            sampled=found.sampled,
            remarks=(*table.remarks, *found.remarks),
            without_label=None,
            **found.parts,
        )

    def _table(self, file: Path) -> _Table:
        frame, named = read_list(file, self.encoding)
        columns = self._columns(frame, named, file)
        values = tables.column(frame, columns.target, str(file))
        whole = labels_of.are_whole(values)  # of pictures these are classes, however many
        labels = labels_of.class_names(
            values, f"{file}, column {columns.target!r}", classification=whole, remedy=_WITHOUT_LABELS
        )
        paths = [picture_at(str(name), file) for name in tables.texts(frame[columns.path])]
        parts = [_part(word, columns.split, file) for word in _cells(frame, columns.split, file)]
        rows = [_Row(*row) for row in zip(parts, labels, paths, _cells(frame, columns.group, file), strict=True)]
        unused = [str(name) for name in frame.columns if name not in columns]
        remark = f"only the pictures are learned from; unused columns: {', '.join(unused)}"
        return _Table(rows, (remark,) if unused else ())

    def _columns(self, frame: DataFrame, named: Sequence[str], file: Path) -> _Columns:
        """Return what the columns are, of which some name pictures, or raise."""
        paths = [name for name in named if name not in (self.target, self.group)]
        if not paths:
            raise DataError(f"{file}: no column names image files")
        taken = {paths[0], self.group, self.target}
        others = [str(name) for name in frame.columns if name not in taken]
        split = next((name for name in others if name.lower() == _SPLIT_COLUMN), None)
        target = self.target or _only(sorted(set(others) - {split}, key=others.index), file)
        return _Columns(paths[0], target, self.group, split)


def _only(columns: Sequence[str], file: Path) -> str:
    """Return the label column where there is but one that may be it."""
    if len(columns) != 1:
        raise DataError(f"{file}: say with --target which column is the label; columns: {', '.join(columns)}")
    return columns[0]


def _classes(rows: Sequence[_Row], file: str) -> tuple[str, ...]:
    """Return the classes of the training rows; refuse a picture with two labels, and a table without such rows."""
    seen: dict[Path, str] = {}
    for row in rows:
        label = seen.setdefault(row.path, row.label)
        if label != row.label:
            raise DataError(f"{file}: {row.path} has the labels {label!r} and {row.label!r}; a picture has one")
    names = [row.label for row in rows if row.part == "train"]
    if not names:
        raise DataError(f"{file}: no row is of the split train")
    return labels_of.in_order(names)


def _found(rows: Sequence[_Row], file: str, *, skip_bad: bool) -> tuple[list[_Row], list[str]]:
    """Return the rows whose pictures are there, and the files that are missing, where these may be skipped."""
    there: list[_Row] = []
    missing: list[str] = []
    for row in rows:
        if row.path.is_file():
            there.append(row)
        else:
            missing.append(str(row.path))
    if missing and not skip_bad:
        raise DataError(f"{missing[0]}: no such file, which {file} names; add it, or give --skip-bad")
    return there, missing


def _cells(frame: DataFrame, name: str | None, file: Path) -> list[str | None]:
    """Return the cells of a column as text; all None without one."""
    return [None] * len(frame) if name is None else [str(cell) for cell in tables.column(frame, name, str(file))]


def _part(word: str | None, column: str | None, file: Path) -> str:
    """Return the split that a cell names; without such a column all is of train."""
    found = "train" if word is None else SPLITS.get(word.strip().lower())
    if found is None:
        raise DataError(f"{file}: the column {column!r} says {word!r}, which is no split; expected train, val or test")
    return found
