"""Numbers and dates as people write them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autokd.modalities import dates
from autokd.modalities.columns import CategoricalColumn, DateColumn, NumericColumn
from autokd.modalities.fitting import fit_columns
from autokd.modalities.numerals import COMMA, PLAIN, POINT, forms, number, written


@pytest.mark.parametrize(
    ("cell", "form", "value"),
    [
        ("1,234.5", POINT, 1234.5),
        ("1,234,567", POINT, 1234567),
        ("12,34,567", POINT, 1234567),
        ("1 234.5", POINT, 1234.5),
        ("1'234.50", POINT, 1234.5),
        ("$1,234", POINT, 1234),
        ("-$3.50", POINT, -3.5),
        ("$-3.50", POINT, -3.5),
        ("USD 12", POINT, 12),
        ("12CHF", POINT, 12),
        ("12.5 %", POINT, 0.125),
        ("(1,200)", POINT, -1200),
        ("\u22125", POINT, -5),
        (".5", POINT, 0.5),
        ("1e3", POINT, 1000),
        ("1,5", COMMA, 1.5),
        ("-0,25", COMMA, -0.25),
        ("1.234,5 €", COMMA, 1234.5),
        ("1\u00a0234,5", COMMA, 1234.5),
        ("1.234.567", COMMA, 1234567),
        ("12,5%", COMMA, 0.125),
        ("7", COMMA, 7),
        ("1,5e3", COMMA, 1500),
    ],
)
def test_known_numbers(cell: str, form: str, value: float) -> None:
    assert number(cell, form) == value


@pytest.mark.parametrize(
    "cell",
    ["", ".", "-", "a1", "1a", "1_000", "12_5", "1,23", "1,2345", "0,123.5", "1.2.3", "--1", "$", "%", "(1", "1)"],
)
def test_what_is_no_number_with_a_decimal_point(cell: str) -> None:
    assert math.isnan(number(cell, POINT))


@pytest.mark.parametrize("cell", ["1_000", "12.5", "1.23", "0.123", "1,2,3", "1,2 3", "kr", ","])
def test_what_is_no_number_with_a_decimal_comma(cell: str) -> None:
    assert math.isnan(number(cell, COMMA))


@given(st.floats(-1e12, 1e12), st.sampled_from([POINT, COMMA]), st.integers(0, 6))
def test_a_number_that_is_written_in_a_form_is_read_from_it(value: float, form: str, places: int) -> None:
    text = f"{value:,.{places}f}"
    text = text if form == POINT else text.translate(str.maketrans(",.", ".,"))
    assert number(text, form) == float(f"{value:.{places}f}")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).map(repr), min_size=1))
def test_numbers_as_programs_write_them_are_plain(cells: list[str]) -> None:
    assert written(cells)[:2] == (PLAIN, 0) and all(number(cell) == float(cell) for cell in cells)


def test_a_column_that_may_be_read_both_ways_follows_the_others() -> None:
    either = {"a": ["1,234", "5,678"], "b": ["1.234", "999"]}
    assert {name: each.form for name, each in forms(either).items()} == {"a": POINT, "b": PLAIN}
    assert {each.form for each in forms({**either, "c": ["1,5", "2"]}).values()} == {COMMA}
    assert [each.form for each in forms({**either, "c": ["1,5"], "d": ["1.5"]}).values()] == [
        POINT,
        PLAIN,
        COMMA,
        PLAIN,
    ]
    assert forms({**either, "c": ["text", "and, more", "1,5", "x"]})["b"].form == PLAIN


def fitted(cells: list[object]) -> NumericColumn | DateColumn:
    (column,), dropped = fit_columns(pd.DataFrame({"x": cells}))
    assert not dropped and not isinstance(column, str)
    return column  # type: ignore[return-value]


@pytest.mark.parametrize(
    "written_as",
    [
        lambda v: f"{v:.2f}".replace(".", ","),
        lambda v: f"{v:,.2f}",
        lambda v: f"${v:,.2f}",
        lambda v: f"{v:.2f} %",
        lambda v: f"{v:,.2f} €".translate(str.maketrans(",.", ".,")),
    ],
)
def test_a_column_gives_the_same_inputs_however_its_numbers_are_written(written_as) -> None:
    values = np.round(np.random.default_rng(0).normal(1000, 5000, 60), 2)
    plain = fitted([str(v) for v in values]).encode(pd.Series([str(v) for v in values]))
    cells = [written_as(v) for v in values]
    column = fitted(cells)
    assert column.type == "numeric" and np.allclose(column.encode(pd.Series(cells)), plain)


@pytest.mark.parametrize("strays", [{7: "abc"}, {3: "n.a.", 9: "n.a."}, {1: "-", 50: "see note"}])
def test_stray_cells_count_as_missing_and_drop_no_column(strays: dict[int, str], caplog) -> None:
    cells: list[object] = [f"{i * 1.37:.2f}" for i in range(200)]
    for row, text in strays.items():
        cells[row] = text
    column = fitted(cells)
    assert column.type == "numeric" and column.missing
    (record,) = caplog.records
    assert f"{len(strays)} of 200 cells are no numbers and count as missing, the first is" in record.getMessage()


def test_one_code_for_missing_is_missing_however_often_it_is_there() -> None:
    assert fitted([str(i) if i % 2 else "-" for i in range(100)]).type == "numeric"
    assert fitted([str(i % 3) if i % 10 else "5+" for i in range(100)]).type == "categorical"


SOME = pd.date_range("2023-11-28 09:30", periods=60, freq="31h")


@pytest.mark.parametrize(
    "pattern",
    [
        *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y %I:%M %p", "%Y%m%d"),
        *("%d %b %Y", "%B %d, %Y", "%d-%b-%y", "%d.%m.%y %H:%M"),
    ],
)
def test_dates_become_numbers_and_parts(pattern: str) -> None:
    cells = SOME.strftime(pattern).tolist()
    column = fitted(cells)
    assert isinstance(column, DateColumn) and set(column.parts) >= {"days", "year", "month", "day", "weekday"}
    days = column.encode(pd.Series(cells))[:, 0] * column.scales[0] + column.means[0]
    whole = SOME if "%H" in pattern or "%I" in pattern else SOME.normalize()
    assert np.allclose(days, (whole - pd.Timestamp(0)) / pd.Timedelta(days=1), atol=1 / 1000)
    assert ("hour" in column.parts) == ("%H" in pattern or "%I" in pattern)
    assert column.encode(pd.Series(["", cells[3]])).shape == (2, column.width)


def test_dates_as_such_and_missing_ones() -> None:
    column = fitted([*SOME, None])
    assert isinstance(column, DateColumn) and column.missing and column.encode(pd.Series([None]))[0, -1] == 1


def test_a_day_that_may_be_a_month_is_said(caplog) -> None:
    cells = [f"0{1 + i % 9}/0{1 + i % 7}/2024" for i in range(40)]
    assert dates.pattern_of(list(Counter(cells)), "when") == "%m/%d/%Y"
    assert "may be read in two ways" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    "cells", [["Month-to-month", "One year"], ["A1-B2", "C3-D4"], ["1.2.x", "3.4.y"], ["10-20", "20-30"]]
)
def test_what_is_no_date(cells: list[str]) -> None:
    assert dates.pattern_of(cells, "x") is None


def test_free_text_is_called_text(caplog) -> None:
    frame = pd.DataFrame({"n": range(30), "said": [f"the patient felt {i} times worse" for i in range(30)]})
    _, dropped = fit_columns(frame.assign(n=frame["n"] % 7))
    assert dropped == {"said": "text"} and "free text" in caplog.records[0].getMessage()


def test_rare_categories_are_counted(caplog) -> None:
    cells = [f"c{i:03}" for i in range(120) for _ in range(3 if i % 2 else 2)]
    fit_columns(pd.DataFrame({"c": cells}))
    assert (
        "20 rare categories (40 of 300 rows) count as none of the 100 frequent ones" in caplog.records[0].getMessage()
    )


def test_row_names_under_an_empty_heading_are_left_out() -> None:
    frame = pd.DataFrame({"Unnamed: 0": range(30), "x": [0, 1, 5] * 10})
    assert fit_columns(frame)[1] == {"Unnamed: 0": "names of rows"}
    assert fit_columns(frame.assign(**{"Unnamed: 0": np.random.default_rng(0).random(30)}))[1] == {}


def test_a_few_categories_among_many_names_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    cells = [f"city {i % 7}" if i % 2 else f"village {i}" for i in range(300)]
    (column,), dropped = fit_columns(pd.DataFrame({"x": cells}))
    assert not dropped and column.width == 7
    assert (
        "150 rare categories (150 of 300 rows) count as none of the 7 frequent ones" in caplog.records[0].getMessage()
    )


def test_a_category_that_is_a_number_may_be_written_otherwise() -> None:
    cells = ["1", "2", "x", "x"] * 10
    (column,), _ = fit_columns(pd.DataFrame({"x": cells}))
    new = pd.Series(["1.0", "2", "3.0", "y"])
    assert isinstance(column, CategoricalColumn) and column.unknown(new) == ["3.0", "y"]
    assert column.encode(new).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
