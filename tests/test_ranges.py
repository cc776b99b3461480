"""Ranges: what lies inside, how they read, and which are none."""

from __future__ import annotations

from typing import Any

import pytest

from autokd.ranges import Choice, Integer, Range, Real


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        (Real(0.1, 10.0, log=True), [0.1, 1, 10.0], [0.09, 10.1, "1", True, None, float("nan"), float("inf")]),
        (Real(-1.0, 0.0), [-1, 0, -0.5], [0.001]),
        (Real(2.0, 2.0), [2.0], [1.999]),
        (Integer(4, 12, step=4), [4, 8, 12], [0, 5, 16, 8.0, "8"]),
        (Integer(0, 1), [0, 1], [True, False]),
        (Choice(8, 14, "x"), [8, 14, 8.0, "x"], [9, "8", "y", None]),
        (Choice(True, False), [True, False], [1, 0]),
        (Choice(0, 1), [0, 1], [True, False]),
    ],
)
def test_what_lies_inside(span: Range, inside: list[Any], outside: list[Any]) -> None:
    assert [value for value in inside if not span.contains(value)] == []
    assert [value for value in outside if span.contains(value)] == []


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Real(0.1, 10.0, log=True), "0.1 to 10, log"),
        (Real(0.0, 1.0), "0 to 1"),
        (Integer(4, 12, step=4), "4 to 12, step 4"),
        (Integer(1, 64, log=True), "1 to 64, log"),
        (Choice(8, "x", True), "one of 8, x, True"),
    ],
)
def test_how_they_read(span: Range, text: str) -> None:
    assert str(span) == text


def test_what_is_no_range() -> None:
    for low, high in ((1.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="finite low <= high"):
            Real(low, high)
    with pytest.raises(ValueError, match="low > 0"):
        Real(0.0, 1.0, log=True)
    with pytest.raises(ValueError, match="low <= high and step >= 1"):
        Integer(2, 1)
    with pytest.raises(ValueError, match="low <= high and step >= 1"):
        Integer(1, 2, step=0)
    for low, step in ((0, 1), (2, 2)):
        with pytest.raises(ValueError, match="low > 0 and step 1"):
            Integer(low, 4, step=step, log=True)
    with pytest.raises(ValueError, match="at least one option"):
        Choice()


def test_ranges_are_values() -> None:
    assert Choice(1, 2, unit="layers") == Choice(1, 2, unit="layers") != Choice(2, 1, unit="layers")
    assert len({Real(0.0, 1.0), Real(0.0, 1.0), Integer(0, 1)}) == 2
