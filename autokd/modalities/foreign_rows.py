"""Rows of a table as code that reads its file with pandas sees them: what a model of another library was fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from autokd.modalities import tables
from autokd.modalities.fitting import read_columns
from autokd.modalities.numerals import PLAIN

_TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_EMPTY = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Cells that pandas takes for missing, `pandas._libs.parsers.STR_NA_VALUES`."""


def as_read_by_others(parts: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of several tables as one, typed as `pandas.read_csv` would.

    A column is of numbers where autokd reads numbers in it (whole ones as int64 where none is missing), else of truth
    values, else of text as it stands in the file, with what pandas takes for missing as NaN. Columns that are not text,
    as those of a Parquet file, stay as they are.

    Args:
      parts: of the same columns as the first one; others are left out.
    """
    names = list(parts[0].columns)
    frame = pd.concat([part.reindex(columns=names) for part in parts], ignore_index=True)
    readings = read_columns(frame)
    return DataFrame({name: _typed(frame[name], readings[str(name)].form) for name in names})


def _typed(values: Series, form: str | None) -> Series:
    if not (pd.api.types.is_object_dtype(values) or isinstance(values.dtype, pd.StringDtype)):
        return values
    if form is not None:
        return _numbers(values, form)
    cells = values.tolist()
    if set(map(str, cells)) <= set(_TRUTH):
        return Series([_TRUTH[str(cell)] for cell in cells])
    return Series([np.nan if _is_empty(cell) else cell for cell in cells], dtype=object)


def _numbers(values: Series, form: str) -> Series:
    """Numbers, as int64 where all are there and written without a point."""
    found, _ = tables.numbers(values, form)
    whole = form == PLAIN and bool(np.isfinite(found).all()) and not any(map(_has_point, values.tolist()))
    return Series(found.astype(np.int64) if whole else found)


def _has_point(cell: object) -> bool:
    return not str(cell).strip().lstrip("+-").isdigit()


def _is_empty(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell != cell or str(cell) in _EMPTY
