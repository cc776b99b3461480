"""Which sample of a dataset each row of a file is about."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.errors import TeacherError
from autokd.modalities.numerals import number
from autokd.types import Samples

Parts = tuple[str, ...]


def rows_of(samples: Samples, keys: Sequence[Any] | None, key: str, count: int, source: str) -> NDArray[np.int64]:
    """Return the row of a file that is about each sample.

    Args:
      samples: of the dataset.
      keys: [n] what each row says it is about: the number of a row of the data, from 0 or from 1 ("data.csv:1" counts
        from 1), the path of a file as far as it tells files apart, or the cell of the data's column of that name; None:
        rows are about the data in their order.
      key: what the file calls them.
      count: n.
      source: the file, for messages.
    Returns:
      [N] rows, by the samples' ids.

    Raises:
      TeacherError: a sample has no row or several, or rows cannot be told to belong to samples.
    """
    if keys is None:
        return _in_order(samples, count, source)
    own, asked = _matched(samples, keys, key, source)
    found: dict[Hashable, int] = {}
    for row, one in enumerate(own):
        if one is not None and found.setdefault(one, row) != row:
            twice = f"rows {found[one] + 1} and {row + 1} are both about {key} {str(keys[row])!r}"
            raise TeacherError(f"{source}: {twice}; a sample has one prediction")
    absent = [one for one in asked if one not in found]
    if absent:
        shown = samples.names[asked.index(absent[0])] if samples.names is not None else _shown(absent[0])
        raise TeacherError(
            f"{source}: {len(absent)} of {len(asked)} samples have no prediction, the first is {shown}; the file needs "
            "a row for every sample that trains, validates or tests"
        )
    return np.array([found[one] for one in asked], dtype=np.int64)


def _in_order(samples: Samples, count: int, source: str) -> NDArray[np.int64]:
    if samples.names is not None:
        raise TeacherError(f"{source}: say in a column 'file' which picture each row is about")
    if count != samples.total:
        raise TeacherError(
            f"{source}: {count} rows, and the data have {samples.total} samples; give one for each, in the order of "
            "the data, or say in a column 'row' which row of the data each is about"
        )
    return np.asarray(samples.numbers, dtype=np.int64)


def _matched(
    samples: Samples, keys: Sequence[Any], key: str, source: str
) -> tuple[list[Hashable | None], list[Hashable]]:
    """What the rows are about and what is asked for, in one form; None for a row about nothing that is known."""
    if samples.names is not None:
        return _as_paths(samples.names, keys)
    table = None if samples.table is None else samples.table()
    if table is not None and key in table.columns:
        cells: list[Hashable] = [_plain(cell) for cell in table[key].tolist()]
        if len(set(cells)) < len(cells):
            raise TeacherError(f"{source}: the data's column {key!r} has the same cell twice; number the rows instead")
        return [_plain(cell) for cell in keys], cells
    return _as_numbers(samples, keys, key, source)


def _as_numbers(
    samples: Samples, keys: Sequence[Any], key: str, source: str
) -> tuple[list[Hashable | None], list[Hashable]]:
    """Numbers of rows, which the file counts from 0 or from 1."""
    cells = [str(cell).strip() for cell in keys]
    named = all(":" in cell for cell in cells)  # as `autokd predict` names rows
    found = np.array([number(cell.rpartition(":")[2]) for cell in cells])
    strange = np.flatnonzero(np.isnan(found) | (found % 1 != 0))
    if len(strange):
        raise TeacherError(f"{source}: {key} {cells[strange[0]]!r} is no number of a row of the data")
    first = _first_number(int(found.min()), int(found.max()), samples.total, source, named=named)
    return [int(each) for each in found], [each + first for each in samples.numbers]


def _first_number(low: int, high: int, total: int, source: str, *, named: bool) -> int:
    """The number of the first of `total` rows of the data, of which a file has some between `low` and `high`."""
    if low < 0 or high - low >= total or high > total:
        raise TeacherError(f"{source}: the rows are numbered {low} to {high}, and the data have {total}")
    if not named and 0 < low <= high < total:
        raise TeacherError(
            f"{source}: the rows are numbered {low} to {high}, which may count from 0 or from 1; give all {total} "
            "rows, or the first of them"
        )
    return 0 if low == 0 else 1


def _as_paths(names: Sequence[str], keys: Sequence[Any]) -> tuple[list[Hashable | None], list[Hashable]]:
    """Paths as places among the data's files: one agrees with a file where either is the end of the other."""
    paths = [PurePath(name).parts for name in names]
    root = len(PurePath(os.path.commonpath([str(PurePath(name).parent) for name in names])).parts)
    ends: dict[Parts, int | None] = {}
    for place, parts in enumerate(paths):
        for start in range(len(parts)):
            tail = parts[start:]
            ends[tail] = None if tail in ends else place
    inside = {parts[root:]: place for place, parts in enumerate(paths)}
    return [_place(str(key), ends, inside) for key in keys], list(range(len(paths)))


def _place(key: str, ends: Mapping[Parts, int | None], inside: Mapping[Parts, int]) -> int | None:
    parts = tuple(part for part in key.strip().replace("\\", "/").split("/") if part not in ("", "."))
    if parts in ends:
        return ends[parts]
    return next((inside[parts[start:]] for start in range(len(parts)) if parts[start:] in inside), None)


def _plain(cell: Any) -> Hashable:
    text = str(cell).strip()
    value = number(text)
    return text if np.isnan(value) else value


def _shown(absent: Hashable) -> str:
    return f"row {absent}" if isinstance(absent, int) else repr(absent)
