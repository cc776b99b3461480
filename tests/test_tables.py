"""Tests of `autokd.tables`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame

from autokd.tables import csv_text, escape_cell, escape_csv, runs_in_a_spreadsheet, write_csv


def test_texts_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not() -> None:
    frame = DataFrame(
        {"=x": ["=1+1", "+a", "-b", "@c", "d=1", "\tx"], "n": [-1, 2, -3, 4, 5, 6]}, index=["-r", *"bcdef"]
    )
    before = frame.copy()
    lines = escape_csv(frame).to_csv().splitlines()
    assert lines == [",'=x,n", "'-r,'=1+1,-1", "b,'+a,2", "c,'-b,-3", "d,'@c,4", "e,d=1,5", "f,'\tx,6"]
    assert frame.equals(before)


def test_equal_column_names_and_missing_cells_stay() -> None:
    frame = DataFrame([["=a", None], [-0.5, "b"]], columns=["x", "x"])
    assert escape_csv(frame).to_csv(index=False) == "x,x\n'=a,\n-0.5,b\n"


CELLS: list[tuple[Any, Any]] = [
    ("=1+1", "'=1+1"),
    ("+cmd", "'+cmd"),
    ("-cmd", "'-cmd"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("-0.5", "-0.5"),
    ("+3", "+3"),
    ("plain", "plain"),
    (-0.5, -0.5),
]


@pytest.mark.parametrize(("value", "expected"), CELLS)
def test_cells_that_look_like_formulas_are_escaped_alike_in_predictions_and_reports(value: Any, expected: Any) -> None:
    assert escape_cell(value) == expected
    assert escape_csv(DataFrame({"x": [value]}, dtype=object)).to_csv(index=False) == f"x\n{expected}\n"


def test_csv_keeps_the_given_columns_first_and_escapes_headings(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"b": 1}, {"=x": "=y", "a": 2.5, "b": None}], ["a", "b"])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b", "'=x"], ["", "1", ""], ["2.5", "", "'=y"]]


LABELS = [
    "-1",
    "+1",
    "-1e-3",
    "+",
    "-",
    "@home",
    "a",
    "-new.csv:1",
    "--",
    "+/-",
    "two\nlines",
    "two\rlines",
    "two\r\nlines",
    'q"',
    "a,b",
    "a;b",
    " x",
]


def test_labels_read_back_as_they_were(tmp_path: Path) -> None:
    frame = DataFrame({"input": LABELS, "label": LABELS, "probability": [-0.5] * len(LABELS)})
    (tmp_path / "t.csv").write_bytes(csv_text(escape_csv(frame, ("input", "label"))).encode())
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert [row[:2] for row in list(csv.reader(file))[1:]] == [[label, label] for label in LABELS]


@pytest.mark.parametrize(
    "cell", ["=1+1", "=A1", "-cmd|' /C calc'!A0", "@SUM(A1)", "+HYPERLINK(1)", "\t=1+1", "='\\\\h\\s'!A1"]
)
def test_what_a_spreadsheet_would_run_is_never_written_as_it_is(cell: str) -> None:
    assert runs_in_a_spreadsheet(cell)
    assert escape_csv(DataFrame({"label": [cell]}), ["label"])["label"].tolist() == [f"'{cell}"]
