"""A CSV, TSV or Parquet file with a label column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from autokd.data_types import DataContext, Part, Raw
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.modalities import tables


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table with one row a sample and named columns, one of which is the label.

    Text files are UTF-8, their first line names the columns, and the delimiter is the one of `,` `;` tab `|` that it
    has most of.
    """

    declares = Dataset(modality="table")

    file: str  # the table
    target: str | None = None  # the label column; needed
    group: str | None = None  # column whose equal values stay in one split; no feature
    validation: str | None = None  # a table of the same form to validate on

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        frame = tables.read_table(Path(self.file))
        if self.target is None:
            raise DataError(f"{self.file}: say with --target which column is the label; {_columns(frame)}")
        names = tables.class_names(tables.column(frame, self.target, self.file), f"{self.file}, column {self.target!r}")
        classes = tables.in_order(names)
        validation = None if self.validation is None else self._validation(Path(self.validation), classes)
        train = self._part(frame, names, classes, self.file)
        return Raw(name=Path(self.file).stem, modality="table", classes=classes, train=train, validation=validation)

    def _validation(self, path: Path, classes: tuple[str, ...]) -> Part:
        frame = tables.read_table(path)
        names = tables.class_names(tables.column(frame, str(self.target), str(path)), str(path))
        return self._part(frame, names, classes, str(path))

    def _part(self, frame: DataFrame, names: list[str], classes: tuple[str, ...], source: str) -> Part:
        labels = tables.indices(names, classes, source)
        if self.group is None:
            return Part(frame.drop(columns=[self.target]), labels)
        groups = tables.column(frame, self.group, source).astype(str).to_numpy(dtype=object)
        return Part(frame.drop(columns=[self.target, self.group]), labels, groups)


def _columns(frame: DataFrame) -> str:
    return f"columns: {', '.join(map(str, frame.columns))}"
