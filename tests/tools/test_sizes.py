"""Sizes are counted as the tables say."""

from __future__ import annotations

import pytest

from tools import sizes

CODE = """
class Shape:
    def area(self, a, /, b, *, c, **more):
        if a:
            return b
        return c

    @staticmethod
    def made(a, b):
        def inner(x):
            return 1 if x else 2
        return inner

    class Point:
        def where(self, x):
            return 1 if x else 2

if True:
    def alone(*many):
        pass
"""


def test_parameters_are_counted_without_self_and_in_nested_functions_too() -> None:
    found = {one.name: one.value for one in sizes.parameters(sizes.PACKAGE / "x.py", CODE)}
    assert found == {
        "autokd/x.py: Shape.area": 3,
        "autokd/x.py: Shape.made": 2,
        "autokd/x.py: Shape.made.inner": 1,
        "autokd/x.py: Shape.Point.where": 1,
        "autokd/x.py: alone": 0,
    }


def test_complexity_is_that_of_functions_each_for_itself() -> None:
    found = {one.name: one.value for one in sizes.complexities(sizes.PACKAGE / "x.py", CODE)}
    assert found == {
        "autokd/x.py: Shape.area": 2,
        "autokd/x.py: Shape.made": 1,
        "autokd/x.py: Shape.made.inner": 2,
        "autokd/x.py: Shape.Point.where": 2,
        "autokd/x.py: alone": 1,
    }


def test_a_bar_that_is_exceeded_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    function = sizes.Measured("autokd/x.py: f", 1, 11)
    lines = {sizes.PACKAGE / "report" / "x.py": 401, sizes.PACKAGE / "losses" / "_x.py": 200}
    assert sizes._show_files(lines) == ["autokd/report/x.py has 401 lines"]
    assert sizes._show_folders(lines) == ["autokd/report holds 66.7% of the lines"]
    assert sizes._show_complexity([function]) == ["100.0 % of the functions have a complexity above 10"]
    assert sizes._show_parameters([function]) == ["autokd/x.py: f has 11 parameters"]
    assert "401  autokd/report/x.py" in capsys.readouterr().out
