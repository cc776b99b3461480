"""Table rows as numbers: what is fitted on them, and how new ones are read."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas import DataFrame, Series
from torch import Tensor

from autokd.errors import DataError
from autokd.input_values import PREPROCESS_FORMAT, RawInputs, ReadInputs
from autokd.modalities import tables
from autokd.modalities.columns import CategoricalColumn, Column, DateColumn, NumericColumn
from autokd.modalities.fitting import may_be_missing
from autokd.modalities.numerals import PLAIN
from autokd.modalities.plain import described, expect_rule, fields_of, with_tuples

_log = logging.getLogger("autokd")
_SHOWN = 8
"""Columns that are named where there are many."""
_NUMBERED = re.compile(r"x\d+")
"""Names of the columns of an array."""
_RULES = {"missing": "median or a category of its own", "unknown": "all zero"}


@dataclass(frozen=True, kw_only=True)
class TablePreprocess:
    """Table rows to float32 [N, columns]: standardised numbers and one-hot categories.

    A missing number becomes the median, an unknown category all zeros; a column that had missing training cells has a
    number of its own that says so.

    Args:
      classes: class names, by index.
      columns: in the order of their numbers.
      encoding: of the table that was learned from, where it was named; files to predict for are read like it.
    """

    kind: ClassVar[str] = "table"
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    encoding: str | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (sum(column.width for column in self.columns),)

    @property
    def mean(self) -> tuple[float, ...]:
        """Nothing is left to subtract later."""
        return ()

    @property
    def std(self) -> tuple[float, ...]:
        """Nothing is left to divide by later."""
        return ()

    def apply(self, raw: RawInputs) -> Tensor:
        """Return float32 [N, *input_shape]; columns that are not known are ignored.

        Raises:
          DataError: a column is absent, or a number is none or infinite.
        """
        if not isinstance(raw, DataFrame):
            raise DataError(f"expected a table, got {described(raw)}")
        blocks = [column.encode(tables.column(raw, column.name, "table")) for column in self.columns]
        return torch.from_numpy(np.concatenate(blocks, axis=1).astype(np.float32))

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `table_preprocess` reads."""
        columns = [{"type": column.type} | _told(fields_of(column)) for column in self.columns]
        shared = {"format": PREPROCESS_FORMAT, "kind": self.kind, "rules": _RULES}
        named = {} if self.encoding is None else {"encoding": self.encoding}
        return {**shared, "classes": list(self.classes), "columns": columns, **named}


def table_preprocess(plain: Mapping[str, Any]) -> TablePreprocess:
    """Inverse of `TablePreprocess.to_json`, `format` and `kind` taken out.

    Raises:
      DataError, KeyError, TypeError: it is no such thing.
    """
    expect_rule("rules", plain["rules"], _RULES)
    fields = {key: value for key, value in plain.items() if key != "rules"}
    columns = tuple(_column(dict(column)) for column in fields.pop("columns"))
    return TablePreprocess(classes=tuple(fields.pop("classes")), columns=columns, **fields)


def read_rows(preprocess: TablePreprocess, paths: Sequence[Path], *, skip_bad: bool) -> ReadInputs:
    """Read table files; see `autokd.input_kind.InputKind.read`."""
    found = ((path, tables.read_table(path, (), preprocess.encoding)) for path in paths)
    frames = [_features(preprocess, frame, str(path), skip_bad) for path, frame in found]
    names = [f"{path}:{row}" for path, frame in zip(paths, frames, strict=True) for row in range(1, len(frame) + 1)]
    return ReadInputs(tuple(names), pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])


def read_all_columns(preprocess: TablePreprocess, path: Path, like: DataFrame) -> ReadInputs:
    """Read a table file whose rows are to be distilled on; columns that the preprocessing does not read stay.

    Args:
      preprocess: of the dataset.
      path: of the file.
      like: rows of the dataset; other columns than theirs, such as the label, are not looked at, which is said.

    Raises:
      DataError: it is no table, or a column is absent.
    """
    frame = tables.read_table(path, (), preprocess.encoding)
    read = _features(preprocess, frame, str(path), skip_bad=True)
    names = tuple(f"{path}:{row}" for row in range(1, len(frame) + 1))
    others = [repr(str(name)) for name in frame.columns if name not in like.columns]
    shown = f"{', '.join(others[:_SHOWN])}{', …' if len(others) > _SHOWN else ''}"
    remarks = (f"{path}: {shown} is no feature of the data, and is not looked at",) if others else ()
    return ReadInputs(names, frame.assign(**{name: read[name] for name in read.columns}), remarks=remarks)


def given_rows(preprocess: TablePreprocess, samples: Any, *, skip_bad: bool) -> ReadInputs:
    """Take rows given in Python; see `autokd.input_kind.InputKind.given`."""
    frame = tables.with_names(_as_table(preprocess, samples), "the table")
    return ReadInputs(frame.index.to_flat_index().tolist(), _features(preprocess, frame, "the table", skip_bad))


def form_of(preprocess: TablePreprocess) -> str:
    """Say what a student takes: "tables with the 3 columns a, b, c"."""
    names = [column.name for column in preprocess.columns]
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"tables with the {len(names)} column(s) {shown}"


def _as_table(preprocess: TablePreprocess, samples: Any) -> DataFrame:
    """Return samples as a table: a table, a row or rows by column name, columns by name, or numbered columns."""
    if isinstance(samples, Tensor | np.ndarray):
        return _numbered(preprocess, samples)
    try:
        match samples:
            case DataFrame():
                return samples
            case Series():
                return samples.to_frame().T
            case Mapping() if not any(map(pd.api.types.is_list_like, samples.values())):
                return DataFrame([samples])
            case Mapping():
                return DataFrame(samples)
            case list() | tuple() if samples and all(isinstance(row, Mapping | Series) for row in samples):
                return DataFrame(list(samples))
    except ValueError as error:  # columns of different lengths
        raise DataError(f"the table: {error}") from error
    raise DataError(
        f"expected a path, a DataFrame, a row as a dict or Series, or a list of such, got {described(samples)}; the "
        f"student takes {form_of(preprocess)}"
    )


def _numbered(preprocess: TablePreprocess, samples: Tensor | NDArray[Any]) -> DataFrame:
    """Return an array [N, D] as a table, for a student that was trained on such an array."""
    names = {column.name for column in preprocess.columns}
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else samples
    if array.ndim != 2:
        raise DataError(f"the array has shape {tuple(array.shape)}; expected rows [N, columns]")
    given = [numbered_name(place) for place in range(array.shape[1])]
    if not all(map(_NUMBERED.fullmatch, names)):
        raise DataError(
            f"an array does not name its columns; give a DataFrame: the student takes {form_of(preprocess)}"
        )
    if missing := sorted(names - set(given)):
        raise DataError(f"the array has {array.shape[1]} columns and lacks {missing[0]} (the first is x0)")
    return DataFrame(array, columns=given)


def numbered_name(place: int) -> str:
    """Return what a column of an array is called, counted from 0."""
    return f"x{place}"


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a column without a form of numbers that is the usual one, so that files are what they were."""
    return {key: value for key, value in fields.items() if key != "form" or value != PLAIN}


def _column(plain: dict[str, Any]) -> Column:
    types: dict[str, type[Column]] = {"numeric": NumericColumn, "date": DateColumn, "categorical": CategoricalColumn}
    cls = types[plain.pop("type")]
    return cls(**with_tuples(plain))


def _features(preprocess: TablePreprocess, frame: DataFrame, source: str, skip_bad: bool) -> DataFrame:
    """Return the columns that the preprocessing reads."""
    for column in preprocess.columns:
        values = tables.column(frame, column.name, source)
        if isinstance(column, CategoricalColumn):
            _check_known(column, values, source, skip_bad)
        elif strays := column.strays(values):
            frame = frame.assign(**{column.name: _missing(column, values, strays, source, skip_bad)})
    return frame[[column.name for column in preprocess.columns]]


def _check_known(column: CategoricalColumn, values: Series, source: str, skip_bad: bool) -> None:
    unknown = column.unknown(values)
    if unknown and not skip_bad:
        raise DataError(
            f"{source}, column {column.name!r}: {unknown[0]!r} was never seen in training; known: "
            f"{', '.join(column.categories)}; with --skip-bad (skip_bad=True) it counts as none of them"
        )


def _missing(column: Column, values: Series, strays: list[int], source: str, skip_bad: bool) -> Series:
    """Return a column without cells that are no numbers (or dates), where they count as missing in training too."""
    cell, where = str(values.iloc[strays[0]]).strip(), tables.place(values, strays[0])
    if not skip_bad and not may_be_missing(column, values, strays):
        raise DataError(
            f"{source}, column {column.name!r}: {cell!r} in {where} is not a {column.noun}, as it was in training; "
            "with --skip-bad (skip_bad=True) it counts as missing"
        )
    _log.warning(
        "%s, column %r: %d of %d cells are no %ss and count as missing, the first is %r in %s",
        *(source, column.name, len(strays), len(values), column.noun, cell, where),
    )
    kept = values.astype(object).copy()
    kept.iloc[strays] = None
    return kept
