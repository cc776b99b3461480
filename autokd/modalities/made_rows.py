"""Made rows: rows of a table that nobody has seen, near those that were, for a teacher to say what they are.

Each maker takes training rows as they were read and makes new ones of them, so that they are read, preprocessed and
asked about like rows of a file. No cell leaves the range of its column, and no category is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from pandas import DataFrame, Series
from torch import Tensor

from autokd.data_types import Indices
from autokd.errors import DataError, nearest
from autokd.modalities import tables
from autokd.modalities.columns import Column, NumericColumn
from autokd.modalities.numerals import PLAIN

TIMES, MOST = 5, 20_000
"""Made rows for each training row, and the most in all."""
SHARE = 0.15
"""Of a row's columns that swap noise redraws, at least one."""
CHANGE, SPREAD = 0.25, 1.0
"""MUNGE: probability that a column changes, and by what the distance of neighbours is divided."""
_CHUNK = 512


class Rows(NamedTuple):
    """Training rows.

    Args:
      frame: as they were read, [N].
      columns: those that are learned from.
      encoded: [N, F] float32, as preprocessed.
    """

    frame: DataFrame
    columns: Sequence[Column]
    encoded: Tensor


def swap_noise(rows: Rows, base: Indices, draw: Generator, share: float = SHARE) -> DataFrame:
    """Make rows whose cells are partly those of other rows: `share` of the columns, drawn for each row, at least one.

    So each column keeps its distribution, and the columns' ties loosen.

    Args:
      rows: what is drawn from.
      base: [n] which row each made one begins with.
      draw: decides everything random.
    Source: swap noise, as winners of Kaggle's Porto Seguro (2017) made it; AutoGluon's "spunge" without its noise.
    """
    count = max(1, round(share * len(rows.columns))) if share else 0
    chosen = draw.random((len(base), len(rows.columns))).argsort(1) < count
    donors = draw.integers(len(rows.frame), size=chosen.shape)
    names = [column.name for column in rows.columns]
    return _from_cells(rows.frame, base, dict(zip(names, np.where(chosen, donors, base[:, None]).T, strict=True)))


def munge(rows: Rows, base: Indices, draw: Generator, change: float = CHANGE, spread: float = SPREAD) -> DataFrame:
    """Make rows between a row and the one that is nearest to it.

    Each column changes with the probability `change`: a category becomes the neighbour's, a number is drawn from a
    normal distribution around the neighbour's with their distance over `spread` as standard deviation. Whole numbers
    stay whole. What is missing in the neighbour is missing then.

    Args:
      rows: what is drawn from.
      base: [n] which row each made one begins with.
      draw: decides everything random.
    Source: Bucila, Caruana and Niculescu-Mizil, Model compression, KDD 2006, algorithm 1, for one row at a time.
    """
    neighbour = neighbours(rows.encoded, base)
    cells, numbers = dict[str, Indices](), dict[str, Series]()
    for column in rows.columns:
        changed = draw.random(len(base)) < change
        cells[column.name] = np.where(changed, neighbour, base)
        noise = draw.standard_normal(len(base)) / spread
        if isinstance(column, NumericColumn) and column.form == PLAIN:
            known = tables.numbers(rows.frame[column.name], column.form)[0]
            moved = known[neighbour] + noise * np.abs(known[neighbour] - known[base])
            numbers[column.name] = Series(_as_its_column(moved, known))[changed & ~np.isnan(moved)]
    return _with_numbers(_from_cells(rows.frame, base, cells), numbers)


Maker = Callable[[Rows, Indices, Generator], DataFrame]
MAKERS: Mapping[str, Maker] = {"swap_noise": swap_noise, "munge": munge}
"""By name."""


def neighbours(encoded: Tensor, base: Indices) -> Indices:
    """Return for some rows which other row is nearest: [n] of the rows of [N, F].

    >>> neighbours(torch.tensor([[0.0], [1.0], [5.0]]), np.array([0, 2])).tolist()
    [1, 1]
    """
    found = []
    for some in torch.split(torch.from_numpy(base), _CHUNK):
        distance = torch.cdist(encoded[some], encoded)
        distance[torch.arange(len(some)), some] = torch.inf
        found.append(distance.argmin(1))
    return torch.cat(found).numpy().astype(np.int64)


def make_rows(rows: Rows, asked: str, seed: int) -> DataFrame:
    """Make rows as they were asked for.

    Args:
      rows: training rows.
      asked: the name of a maker, perhaps with how many rows for each training row: "munge:10".
      seed: decides everything random.

    Raises:
      DataError: there is no such maker, or no such number.
    """
    name, _, times = asked.partition(":")
    if name not in MAKERS:
        raise DataError(f"--made-rows {asked}: there is no {name!r}; {nearest(name, MAKERS)}")
    if times and not (times.isdigit() and int(times)):
        raise DataError(f"--made-rows {asked}: expected how many for each training row, as in {name}:{TIMES}")
    if len(rows.frame) < 2:
        raise DataError(f"--made-rows {asked}: there is one training row, and nothing to mix it with")
    draw = np.random.default_rng(seed)
    count = min(MOST, int(times or TIMES) * len(rows.frame))
    base = np.concatenate([draw.permutation(len(rows.frame)) for _ in range(-(-count // len(rows.frame)))])[:count]
    return MAKERS[name](rows, base, draw).reset_index(drop=True)


def _from_cells(frame: DataFrame, base: Indices, cells: Mapping[str, Indices]) -> DataFrame:
    """Rows whose cells stand in the given rows of their columns; other columns are those of the base row."""
    where = {str(name): cells.get(str(name), base) for name in frame.columns}
    return DataFrame({name: frame[name].iloc[rows].reset_index(drop=True) for name, rows in where.items()})


def _with_numbers(frame: DataFrame, numbers: Mapping[str, Series]) -> DataFrame:
    """A table with some of its cells replaced by numbers."""
    for name, values in ((name, values) for name, values in numbers.items() if len(values)):
        column = frame[name] if tables.is_numeric(frame[name]) else frame[name].astype(object)
        kept = column.copy()
        kept.iloc[values.index.to_numpy()] = values.to_numpy()
        frame = frame.assign(**{name: kept})
    return frame


def _as_its_column(values: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64] | list[object]:
    """Numbers inside the range of a column, whole where all of its numbers are."""
    there = known[~np.isnan(known)]
    inside = np.clip(values, there.min(), there.max())
    if (there % 1).any():
        return inside
    return [value if np.isnan(value) else int(value) for value in np.rint(inside)]
