"""Components made from what a user writes, and their fields."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from autokd import catalog
from autokd.declarations import Student
from autokd.ranges import Choice, Integer, Real
from autokd.spec import component_from_plain, component_to_plain, convert, fields_of


@dataclass(frozen=True, kw_only=True)
class Example:
    name = "example"
    width: Annotated[int, Integer(4, 16, step=4, unit="channels")] = 8  # of the first layer # not of all
    rate: Annotated[float, Real(0.1, 1.0, log=True)]  # no default
    kind: Annotated[str, Choice("a", "b")] = "a"
    sizes: tuple[int, ...] = (1, 2)  # never searched
    limit: float | None = None

    def build(self, context: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("kind", ["students", "heads", "augments", "losses", "optimizers", "schedules", "proxies"])
def test_every_shipped_component_survives_as_plain_data(kind: str) -> None:
    for name in catalog.names(kind):
        cls = catalog.load(kind, name)
        if isinstance(cls.declares, Student) and cls.declares.family:
            continue  # it stands for many, and is none itself
        component = cls()
        plain = json.loads(json.dumps(component_to_plain(component)))
        assert plain["use"] == name and component_from_plain(kind, plain) == component
        for field, info in fields_of(cls).items():
            assert info.comment, f"{kind} {name}.{field} has no comment on its line"
            assert info.range is None or info.range.contains(info.default), f"{kind} {name}.{field}"


def test_the_fields_of_a_component() -> None:
    fields = fields_of(Example)
    assert list(fields) == ["width", "rate", "kind", "sizes", "limit"]
    assert fields["width"] == (int, 8, Integer(4, 16, step=4, unit="channels"), "of the first layer # not of all")
    assert fields["rate"] == (float, dataclasses.MISSING, Real(0.1, 1.0, log=True), "no default")
    assert fields["sizes"] == (tuple[int, ...], (1, 2), None, "never searched")
    assert fields["limit"].comment == "" and fields["limit"].range is None


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        ("1e-2", float, 0.01),
        (3, float, 3.0),
        ("300e3", int, 300_000),
        (8.0, int, 8),
        (True, bool, True),
        ("a", str, "a"),
        ([1, "2"], tuple[int, ...], (1, 2)),
        (None, float | None, None),
        ("0.5", float | None, 0.5),
    ],
)
def test_values_become_the_fields_type(value: Any, to: Any, expected: Any) -> None:
    found = convert(value, to)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "to"),
    [
        (True, int),
        (True, float),
        (1, bool),
        ("yes", bool),
        (1, str),
        (1.5, int),
        ("x", float),
        (math.inf, float),
        ("nan", float),
        ("1e400", int),
        (None, int),
        (3, tuple[int, ...]),
        ("12", tuple[int, ...]),
        ([1.5], tuple[int, ...]),
        ({}, float),
    ],
)
def test_other_values_are_refused(value: Any, to: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|convert"):
        convert(value, to)
