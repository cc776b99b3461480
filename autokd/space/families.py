"""The students of one family, whatever they cost: counted, enumerated, drawn and changed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autokd.ranges import Choice, Integer, Range, Real, Scalar
from autokd.space.candidate import Candidate
from autokd.space.values import edges

Plain = dict[str, Any]
FEW = 64
"""Students of a family up to which all are looked at, instead of drawing some."""


def count_of(family: Candidate) -> int | None:
    """Return how many students a family has; None where a field is a real number."""
    counts = [_number(span) for span in family.ranges.values()]
    return None if None in counts else math.prod(count or 0 for count in counts)


def are_few(family: Candidate) -> bool:
    """Whether a family has at most `FEW` students."""
    count = count_of(family)
    return count is not None and count <= FEW


def _number(span: Range) -> int | None:
    if isinstance(span, Real):
        return 1 if span.low == span.high else None
    return len(_values(span))


def _values(span: Integer | Choice) -> Sequence[Scalar]:
    return span.options if isinstance(span, Choice) else range(span.low, span.high + 1, span.step)


def every(family: Candidate) -> Iterator[Plain]:
    """Yield every student of a family without real numbers that vary."""
    spans = family.ranges.values()
    values = [[span.low] if isinstance(span, Real) else _values(span) for span in spans]
    return (family.plain(dict(zip(family.ranges, each, strict=True))) for each in itertools.product(*values))


def drawn(family: Candidate, rng: np.random.Generator) -> Plain:
    """Return a student of a family, each value of a field being as likely."""
    return family.plain({name: _any_of(span, rng) for name, span in family.ranges.items()})


def _any_of(span: Range, rng: np.random.Generator) -> Scalar:
    """A value of a range, each as likely; a real number on its own scale."""
    if not isinstance(span, Real):
        values = _values(span)
        return values[int(rng.integers(len(values)))]
    if span.log:
        return min(max(math.exp(rng.uniform(math.log(span.low), math.log(span.high))), span.low), span.high)
    return float(rng.uniform(span.low, span.high))


def changed(family: Candidate, student: Mapping[str, Any], rng: np.random.Generator) -> Plain:
    """Return a student with another value of one field, or itself where the field has one value or is at its end."""
    if not family.ranges:
        return dict(student)
    name = list(family.ranges)[int(rng.integers(len(family.ranges)))]
    value = _another(family.ranges[name], student[name], rng)
    return family.plain({**fields_of(family, student), name: value})


def _another(span: Range, value: Any, rng: np.random.Generator) -> Scalar:
    """A neighbour of a number, or as often any value; as likely as the way back, so that a walk is fair."""
    if isinstance(span, (Real, Choice)) or rng.random() < 0.5:
        return _any_of(span, rng)
    near: int = value + (span.step if rng.random() < 0.5 else -span.step)
    return near if span.contains(near) else value


def fields_of(family: Candidate, student: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the fields of a student that vary in its family."""
    return {name: student[name] for name in family.ranges}


def least_value(span: Range) -> Scalar:
    """Return the smallest number of a range, or the first of other options."""
    values = edges(span)
    return min(values, key=lambda value: value if isinstance(value, int | float) else 0)
