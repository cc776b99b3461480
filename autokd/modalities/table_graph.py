"""The preprocessing of table rows as ONNX nodes: one input a column, as converters of scikit-learn's models have it.

Numbers are float64 [batch, 1], NaN where missing; dates are seconds since 1970 in UTC, alike; categories are text
[batch, 1]. The texts that stand for a missing cell do so here too, in any case. A category that is a number is known in
the ways in which programs write it, 1 as 1.0 too. Blanks around a text are not taken off: ONNX cannot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autokd.errors import ComponentError
from autokd.input_values import OnnxForm
from autokd.modalities import dates, tables
from autokd.modalities.columns import CategoricalColumn, DateColumn, NumericColumn
from autokd.modalities.numerals import number
from autokd.modalities.rows import TablePreprocess
from autokd.nodes import Nodes

SCRIPT = Path(__file__).with_name("table_script.py")
_DAY, _HOUR = 86400.0, 3600.0
_MICRO = 1e6
_SHAPE = ("batch", 1)


def table_form(preprocess: TablePreprocess, nodes: Nodes) -> OnnxForm:
    """Write the preprocessing; see `autokd.input_kind.InputKind.onnx_form`."""
    takes = {column.name: f"{_TAKEN[type(column)]} [batch, 1]: {column.about}" for column in preprocess.columns}
    return OnnxForm({"input": table_nodes(nodes, preprocess)}, takes, SCRIPT)


def table_nodes(nodes: Nodes, preprocess: TablePreprocess) -> str:
    """Add an input for each column, and what a network makes of them.

    Returns:
      The name of [batch, *input_shape] float32.

    Raises:
      ComponentError: a column has no name.
    """
    if not all(column.name for column in preprocess.columns):
        raise ComponentError("a column has no name, and every input of an ONNX graph has one; give it one in the table")
    blocks: list[str] = []
    places: dict[str, list[int]] = {}
    begin = 0
    for cls, encode in _ENCODERS.items():
        for some in _together(cls, preprocess):
            blocks.append(encode(nodes, some))
            for column, own in _own_places(some):
                places[column.name] = [begin + place for place in own]
            begin += sum(column.width for column in some)
    order = [place for column in preprocess.columns for place in places[column.name]]
    return nodes.add("Gather", nodes.add("Concat", *blocks, axis=1), np.array(order), axis=1)


def _together(cls: type[Any], preprocess: TablePreprocess) -> Iterator[list[Any]]:
    """Columns of a type that are computed at once: all numbers; each of the others by itself."""
    found = [column for column in preprocess.columns if isinstance(column, cls)]
    if cls is NumericColumn:
        yield from [found] if found else []
    else:
        yield from ([column] for column in found)


def _own_places(columns: Sequence[Any]) -> Iterator[tuple[Any, list[int]]]:
    """Where the numbers of each column are in the block of several: of numbers, first the values, then the gaps."""
    if len(columns) == 1:
        yield columns[0], list(range(columns[0].width))
        return
    gaps = itertools.count(len(columns))
    for place, column in enumerate(columns):
        yield column, [place, next(gaps)] if column.missing else [place]


def _numbers(nodes: Nodes, columns: Sequence[NumericColumn]) -> str:
    given = [nodes.input(column.name, np.float64, _SHAPE) for column in columns]
    values = nodes.add("Concat", *given, axis=1)
    moments = [[getattr(column, field) for column in columns] for field in ("median", "mean", "scale")]
    gaps = [place for place, column in enumerate(columns) if column.missing]
    return _standard(nodes, values, moments, gaps)


def _date(nodes: Nodes, columns: Sequence[DateColumn]) -> str:
    """The parts of a date, as `autokd.modalities.dates.parts` has them."""
    (column,) = columns
    given = nodes.input(column.name, np.float64, _SHAPE)
    micros = nodes.add("Round", nodes.add("Mul", given, _MICRO))
    days = _floor_div(nodes, micros, _DAY * _MICRO)
    within = nodes.add("Sub", micros, nodes.add("Mul", days, _DAY * _MICRO))
    parts = {
        "days": nodes.add("Div", given, _DAY),
        "weekday": _modulo(nodes, nodes.add("Add", days, 3.0), 7.0),
        "hour": _floor_div(nodes, within, _HOUR * _MICRO),
        **_calendar(nodes, days),
    }
    values = nodes.add("Concat", *(parts[part] for part in column.parts), axis=1)
    gaps = [0] if column.missing else []
    return _standard(nodes, values, [column.medians, column.means, column.scales], gaps)


def _calendar(nodes: Nodes, days: str) -> dict[str, str]:
    """Year, month and day of days since 1970 (Hinnant, chrono-Compatible Low-Level Date Algorithms, civil_from_days).

    Years begin in March there, so that a leap day is the last of one, and 400 of them are an era.
    """
    since = nodes.add("Add", days, 719468.0)  # 1 March of the year 0
    era = _floor_div(nodes, since, 146097.0)
    day = nodes.add("Sub", since, nodes.add("Mul", era, 146097.0))
    leap = [_floor_div(nodes, day, length) for length in (1460.0, 36524.0, 146096.0)]
    even = nodes.add("Sub", nodes.add("Add", nodes.add("Sub", day, leap[0]), leap[1]), leap[2])
    year = _floor_div(nodes, even, 365.0)
    before = [_floor_div(nodes, year, length) for length in (4.0, 100.0)]
    passed = nodes.add("Sub", nodes.add("Add", nodes.add("Mul", year, 365.0), before[0]), before[1])
    of_year = nodes.add("Sub", day, passed)
    month = _floor_div(nodes, nodes.add("Add", nodes.add("Mul", of_year, 5.0), 2.0), 153.0)
    begun = _floor_div(nodes, nodes.add("Add", nodes.add("Mul", month, 153.0), 2.0), 5.0)
    late = nodes.add("GreaterOrEqual", month, 10.0)  # January and February
    shown = nodes.add("Add", month, nodes.add("Where", late, -9.0, 3.0))
    whole = nodes.add("Add", nodes.add("Mul", era, 400.0), nodes.add("Add", year, nodes.add("Where", late, 1.0, 0.0)))
    return {"year": whole, "month": shown, "day": nodes.add("Add", nodes.add("Sub", of_year, begun), 1.0)}


def _standard(nodes: Nodes, values: str, moments: Sequence[Sequence[float]], gaps: Sequence[int]) -> str:
    """Values [batch, k], or their medians, standardised, and 1 for each gap in some of the columns; float32."""
    absent = nodes.add("IsNaN", values)
    medians, means, scales = (np.array([row], dtype=np.float64) for row in moments)
    filled = nodes.add("Where", absent, medians, values)
    standard = nodes.cast(nodes.add("Div", nodes.add("Sub", filled, means), scales), np.float32)
    if not gaps:
        return standard
    flags = nodes.cast(nodes.add("Gather", absent, np.array(gaps), axis=1), np.float32)
    return nodes.add("Concat", standard, flags, axis=1)


def _category(nodes: Nodes, columns: Sequence[CategoricalColumn]) -> str:
    """One number a category; no such number for other texts."""
    (column,) = columns
    given = nodes.input(column.name, object, _SHAPE)
    known = spellings(column)
    place = nodes.add(
        "LabelEncoder", given, keys_strings=list(known), values_int64s=list(known.values()), default_int64=-1
    )
    return nodes.cast(nodes.add("Equal", place, np.arange(column.width)[None]), np.float32)


def spellings(column: CategoricalColumn) -> dict[str, int]:
    """Return the texts that stand for a category, or for a missing cell where that has a number, with its place."""
    found = {category: place for place, category in enumerate(column.categories)}
    for category, place in list(found.items())[::-1]:  # of categories that are the same number the last counts
        for text in _alike(category):
            found.setdefault(text, place)
    gaps = {text for word in tables.MISSING for text in _any_case(word)}
    if column.missing:
        return found | dict.fromkeys(sorted(gaps), len(column.categories))
    return {text: place for text, place in found.items() if text not in gaps}


def _alike(category: str) -> Iterator[str]:
    """Ways in which programs write a category that is a number."""
    value = number(category)
    if math.isfinite(value):
        yield repr(value)
        yield f"{value:g}"
        if value.is_integer() and abs(value) < 1e15:
            yield str(int(value))
            yield f"{value:.1f}"


def _any_case(word: str) -> Iterator[str]:
    return map("".join, itertools.product(*({letter.lower(), letter.upper()} for letter in word)))


def _floor_div(nodes: Nodes, values: str, by: float) -> str:
    return nodes.add("Floor", nodes.add("Div", values, by))


def _modulo(nodes: Nodes, values: str, by: float) -> str:
    return nodes.add("Sub", values, nodes.add("Mul", _floor_div(nodes, values, by), by))


_ENCODERS: Mapping[type[Any], Callable[[Nodes, Sequence[Any]], str]] = {
    NumericColumn: _numbers,
    DateColumn: _date,
    CategoricalColumn: _category,
}
_TAKEN: Mapping[type[Any], str] = {
    NumericColumn: "float64, NaN where missing,",
    DateColumn: "float64, seconds since 1970 in UTC, NaN where missing,",
    CategoricalColumn: "text",
}
assert set(dates.PARTS) == {"days", "year", "month", "day", "weekday", "hour"}
