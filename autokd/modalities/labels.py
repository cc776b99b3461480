"""The label column of a table: class names, their order, and their indices."""

from __future__ import annotations

import logging
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas import Series

from autokd.data_types import Indices
from autokd.errors import DataError, nearest
from autokd.modalities import tables
from autokd.modalities.numerals import number

_MANY = 20
"""Distinct values from which on numbers in a label column look like a quantity."""
_SHOWN = 5
"""Pairs of names that are listed in a warning."""
_log = logging.getLogger("autokd")


def without(values: Series) -> Indices:
    """Return which rows of a label column have no label."""
    names = np.array([tables.text(value) for value in values.tolist()], dtype=object)
    return np.flatnonzero(values.isna().to_numpy() | (names == ""))


def class_names(
    values: Series, source: str, *, classification: bool = False, remedy: str = "leave them out"
) -> list[str]:
    """Return the class name of every row of a label column.

    Names that are the same number, 1 and 1.0, are one class. Names that differ only in case, blanks or accents' form
    are told apart, with a warning.

    Args:
      values: the cells.
      source: of the column, for messages.
      classification: the labels are classes, whatever they look like.
      remedy: what may be done with rows that have no label, for the message.

    Raises:
      DataError: a label is missing, or the labels look like a quantity.
    """
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    empty = without(values)
    if len(empty):
        where = tables.place(values, empty[0])
        raise DataError(f"{source}: {len(empty)} row(s) have no label, the first is {where}; {remedy}")
    names = [tables.text(value) for value in values.tolist()]
    names = _one_name_a_number(names, source)
    if not classification:
        _check_not_a_quantity(names, source)
    _warn_of_spellings(names, source)
    return names


def are_whole(target: Series) -> bool:
    """Whether labels are whole numbers: of images these are classes, however many there are."""
    found, strays = tables.numbers(target)
    return not strays and not bool((found[~np.isnan(found)] % 1).any())


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct class names: by value where all are numbers, otherwise by text."""
    distinct = set(names)
    if any(math.isnan(number(name)) for name in distinct):
        return tuple(sorted(distinct))
    return tuple(sorted(distinct, key=lambda name: (float(name), name)))


def indices(names: list[str], classes: tuple[str, ...], source: str) -> Indices:
    """Return class indices [N]; a number may be written otherwise than among the classes.

    Raises:
      DataError: a name is none of the classes.
    """
    index: dict[str | float, int] = {number(name): i for i, name in enumerate(classes) if _is_finite(name)}
    index |= {name: i for i, name in enumerate(classes)}
    places = {name: index.get(name, index.get(number(name))) for name in set(names)}
    unknown = sorted(name for name, at in places.items() if at is None)
    if unknown:
        raise DataError(f"{source}: class {unknown[0]!r} is not in the training data; {nearest(unknown[0], classes)}")
    return np.array([places[name] for name in names], dtype=np.int64)


def _is_finite(name: str) -> bool:
    return math.isfinite(number(name))


def _one_name_a_number(names: list[str], source: str) -> list[str]:
    """Give classes that are the same number one name, the shortest."""
    spellings: defaultdict[float, set[str]] = defaultdict(set)
    for name in set(names):
        if _is_finite(name):
            spellings[number(name)].add(name)
    chosen = {name: min(many, key=lambda name: (len(name), name)) for many in spellings.values() for name in many}
    several = sorted({tuple(sorted(many)) for many in spellings.values() if len(many) > 1})
    if several:
        _log.warning("%s: %s are the same number and count as one class", source, _listed(several))
    return [chosen.get(name, name) for name in names]


def _warn_of_spellings(names: list[str], source: str) -> None:
    """Warn of classes that look like one that was written in two ways."""
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for name in set(names):
        alike["".join(unicodedata.normalize("NFKC", name).casefold().split())].add(name)
    several = sorted(tuple(sorted(many)) for many in alike.values() if len(many) > 1)
    if several:
        counts = Counter(names)
        rarest = min((name for many in several for name in many), key=lambda name: (counts[name], name))
        _log.warning(
            "%s: %s differ only in how they are written, and count as classes of their own (%r has %d row(s)); write "
            "them alike if they are one",
            *(source, _listed(several), rarest, counts[rarest]),
        )


def _listed(several: list[tuple[str, ...]]) -> str:
    shown = "; ".join(" and ".join(map(repr, many)) for many in several[:_SHOWN])
    return shown if len(several) <= _SHOWN else f"{shown}; and {len(several) - _SHOWN} more"


def _check_not_a_quantity(names: list[str], source: str) -> None:
    distinct = set(names)
    if len(distinct) <= _MANY or any(math.isnan(number(name)) for name in distinct):
        return
    if len(distinct) > len(names) / 5 or any(number(name) % 1 for name in distinct):
        raise DataError(
            f"{source}: the label has {len(distinct)} different numbers in {len(names)} rows, which looks like a "
            "regression; only classification is supported: turn it into classes first, or say --classification "
            "(classification=True) if each of these numbers is a class"
        )
