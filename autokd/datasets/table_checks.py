"""What is wrong with a table though it can be read: a heading that is a row, a column that is the label again."""

from __future__ import annotations

import logging
import math
import re
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series

from autokd.errors import DataError
from autokd.modalities import tables
from autokd.modalities.numerals import number

_ROWS = 20
"""Rows from which on a column that goes with the label, one value a class, is no chance."""
_log = logging.getLogger("autokd")


def check_heading(frame: DataFrame, source: str) -> None:
    """Refuse a text file whose first line is a row like the others.

    It is one where every name is a number above numbers, or one of its column's own cells; names that count up, such as
    0, 1, 2 or wavelengths, are names.

    Raises:
      DataError: the first line is a row.
    """
    names = [str(name) for name in frame.columns]
    if not tables.is_from_text(frame) or len(names) < 2 or _count_up([number(name) for name in names]):
        return
    alike = [_is_a_cell(name, frame[name]) for name in names]
    if True in alike and False not in alike:
        shown = ", ".join([*names[:4], *["…"][: max(0, len(names) - 4)]])
        raise DataError(
            f"{source}: the first line ({shown}) looks like a row, not like names of columns; put a line with "
            "the names above it"
        )


def _count_up(values: list[float]) -> bool:
    return all(map(math.isfinite, values)) and all(before < after for before, after in pairwise(values))


def _is_a_cell(name: str, values: Series) -> bool | None:
    """Whether the name of a column may be one of its cells; None where nothing can be said: all cells differ."""
    cells = [cell for cell in tables.texts(values) if cell is not None]
    given = re.sub(r"\.\d+$", "", name) if number(name) != number(name) else name  # a.1 is a second a
    if name in cells or given in cells:
        return True
    if cells and all(not math.isnan(number(cell)) for cell in cells):
        return not math.isnan(number(given))
    return None if len(set(cells)) == len(cells) else False


def without_label(frame: DataFrame, target: str, labels: NDArray[np.int64], source: str) -> DataFrame:
    """Return the features of a table: without the label, and without columns that are the label once more.

    Args:
      frame: the table.
      target: name of the label column.
      labels: [N] class indices.
      source: of the table, for messages.
    """
    features = frame.drop(columns=[target])
    label = [tables.text(value) for value in frame[target].tolist()]
    for name in map(str, features.columns):
        if len(frame) < _ROWS or not _one_to_one(features[name], labels):
            continue
        if _same(label, [tables.text(value) for value in features[name].tolist()]):
            _log.warning("%s: column %r is the label %r once more and is left out", source, name, target)
            features = features.drop(columns=[name])
        else:
            _log.warning(
                "%s: column %r has one value a class, and gives the label away; remove it if it is not known "
                "when you predict",
                source,
                name,
            )
    return features


def _one_to_one(values: Series, labels: NDArray[np.int64]) -> bool:
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    count = len(np.unique(labels))
    return len(distinct) == count and len(np.unique(codes * (labels.max() + 1) + labels)) == count


def _same(label: list[str], cells: list[str]) -> bool:
    pairs = set(zip(label, cells, strict=True))
    return all(one == other or number(one) == number(other) for one, other in pairs)
