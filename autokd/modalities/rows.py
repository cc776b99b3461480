"""Table rows as numbers: what is fitted on them, and how new ones are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pandas import DataFrame
from torch import Tensor

from autokd.errors import DataError
from autokd.input_kind import PREPROCESS_FORMAT, RawInputs, ReadInputs
from autokd.modalities import tables
from autokd.modalities.columns import CategoricalColumn, Column, NumericColumn
from autokd.modalities.plain import described, expect_rule, fields_of, with_tuples

_RULES = {"missing": "median or a category of its own", "unknown": "all zero"}


@dataclass(frozen=True, kw_only=True)
class TablePreprocess:
    """Table rows to float32 [N, columns]: standardised numbers and one-hot categories.

    A missing number becomes the median, an unknown category all zeros; a column that had missing training cells has a
    number of its own that says so.

    Args:
      classes: class names, by index.
      columns: in the order of their numbers.
    """

    kind: ClassVar[str] = "table"
    classes: tuple[str, ...]
    columns: tuple[Column, ...]

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
        columns = [{"type": column.type} | fields_of(column) for column in self.columns]
        shared = {"format": PREPROCESS_FORMAT, "kind": self.kind, "rules": _RULES}
        return {**shared, "classes": list(self.classes), "columns": columns}


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
    frames = [_features(preprocess, path, skip_bad) for path in paths]
    names = [f"{path}:{row}" for path, frame in zip(paths, frames, strict=True) for row in range(1, len(frame) + 1)]
    return ReadInputs(tuple(names), pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])


def _column(plain: dict[str, Any]) -> Column:
    types: dict[str, type[Column]] = {"numeric": NumericColumn, "categorical": CategoricalColumn}
    cls = types[plain.pop("type")]
    return cls(**with_tuples(plain))


def _features(preprocess: TablePreprocess, path: Path, skip_bad: bool) -> DataFrame:
    """Return the columns that the preprocessing reads."""
    frame = tables.read_table(path)
    for column in preprocess.columns:
        unknown = column.unknown(tables.column(frame, column.name, str(path)))
        if unknown and not skip_bad and isinstance(column, CategoricalColumn):
            raise DataError(
                f"{path}, column {column.name!r}: {unknown[0]!r} was never seen in training; known: "
                f"{', '.join(column.categories)}; with --skip-bad it counts as none of them"
            )
    return frame[[column.name for column in preprocess.columns]]
