"""Tests of `autokd.tables`."""

from __future__ import annotations

from pandas import DataFrame

from autokd.tables import escape_csv


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
