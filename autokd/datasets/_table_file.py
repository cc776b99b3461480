"""A CSV, TSV or Parquet file with a label column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from autokd.data_types import DataContext, Indices, Part, Raw
from autokd.datasets.table_checks import check_heading, without_label
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.modalities import fitting, labels, tables

_LEAVE_OUT = "leave them out"
_DISTIL = f"to distil on them, give this table with --unlabelled (unlabelled=…) as well; or {_LEAVE_OUT}"


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table with one row a sample and named columns, one of which is the label.

    Text files are UTF-8, UTF-16 with its mark, or else Windows-1252, unless another encoding is named. One line names
    the columns, and the delimiter is the one of `,` `;` tab `|`, or else blanks, that makes all rows as long as each
    other.
    """

    declares = Dataset(modality="table")

    file: str  # the table
    target: str | None = None  # the label column; needed
    group: str | None = None  # column whose equal values stay in one split; no feature
    validation: str | None = None  # a table of the same form to validate on
    classification: bool | None = None  # the labels are classes, though they look like a quantity
    encoding: str | None = None  # of a text file without a mark, as Python names it: cp1251, gbk

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        if context.resize is not None:
            raise DataError(f"resize does not apply to {self.file}, which is a table")
        frame = self._read(Path(self.file))
        if self.target is None:
            raise DataError(f"{self.file}: say with --target which column is the label; {_columns(frame)}")
        tables.column(frame, self.target, self.file)
        check_heading(frame, self.file)
        without = self._without_label(frame, context)
        if without is not None:
            frame = frame.drop(index=frame.index[without])
        names = self._names(frame, self.file)
        classes = labels.in_order(names)
        validation = None if self.validation is None else self._validation(Path(self.validation), classes)
        train = self._part(frame, names, classes, self.file)
        return Raw(
            name=Path(self.file).stem,
            modality="table",
            classes=classes,
            train=train,
            validation=validation,
            reading=self.encoding,
            without_label=without,
        )

    def _read(self, path: Path) -> DataFrame:
        single = [name.strip() for name in (self.target, self.group) if name is not None]
        return tables.read_table(path, single, self.encoding)

    def _without_label(self, frame: DataFrame, context: DataContext) -> Indices | None:
        """The rows without a label, where they are what is to be distilled on."""
        if context.unlabelled is None or context.unlabelled.resolve() != Path(self.file).resolve():
            return None
        return labels.without(tables.column(frame, str(self.target), self.file))

    def _names(self, frame: DataFrame, source: str) -> list[str]:
        """The class name of every row."""
        values = tables.column(frame, str(self.target), source)
        remedy = _DISTIL if source == self.file else _LEAVE_OUT
        place, classification = f"{source}, column {self.target!r}", bool(self.classification)
        return labels.class_names(values, place, classification=classification, remedy=remedy)

    def _validation(self, path: Path, classes: tuple[str, ...]) -> Part:
        frame = self._read(path)
        return self._part(frame, self._names(frame, str(path)), classes, str(path))

    def _part(self, frame: DataFrame, names: list[str], classes: tuple[str, ...], source: str) -> Part:
        index = labels.indices(names, classes, source)
        groups = None
        if self.group is not None:
            groups = tables.column(frame, self.group, source).astype(str).to_numpy(dtype=object)
        features = without_label(frame, str(self.target), index, source)
        if self.group is not None:
            features = features.drop(columns=[self.group])
        return Part(fitting.without_strays(features, fitting.read_columns(features), source), index, groups)


def _columns(frame: DataFrame) -> str:
    return f"columns: {', '.join(map(str, frame.columns))}"
