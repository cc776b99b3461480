"""Tables as people and programs write them: each file reads as the plain one that it means."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from autokd.errors import DataError
from autokd.modalities.tables import read_table

ROWS = [("1", "0.5", "sick"), ("2", "-1.25", "well"), ("3", "7", "well")]
PLAIN = "dose,marker,outcome\n" + "".join(",".join(row) + "\n" for row in ROWS)
R = '"dose","marker","outcome"\n' + "".join(f'"r{i}",{a},{b},"{c}"\n' for i, (a, b, c) in enumerate(ROWS))


def read(path: Path, text: str, encoding: str = "utf-8") -> pd.DataFrame:
    path.write_bytes(text.encode(encoding))
    return read_table(path)


def cells(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(frame.columns), *(tuple(cell.strip() for cell in row) for row in frame.itertuples(index=False))]


EXPECTED = [("dose", "marker", "outcome"), *ROWS]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN, ""),
        (R, "taken for the row's name"),
        (R.replace(",", ";"), "taken for the row's name"),
        (R.replace(",", "\t").replace('"', ""), "taken for the row's name"),
        (R.replace(",", " "), "taken for the row's name"),
        (PLAIN.replace(",", "  "), ""),
        (PLAIN.replace("\n", ",\n"), ""),
        ("dose,marker,outcome\n" + PLAIN.partition("\n")[2].replace("\n", ",\n"), ""),
        (PLAIN.replace("\n", "\r\n"), ""),
        (PLAIN.replace("\n", "\n\n"), ""),
        ("# from the clinic, 2024\n# second line\n" + PLAIN, "the 2 line(s) above the heading in line 3"),
        ("Report of May\n\n" + PLAIN, "the 1 line(s) above the heading in line 3"),
        ("Report,,\n,,\n" + PLAIN, "the 2 line(s) above the heading in line 3"),
        ("sep=;\n" + PLAIN.replace(",", ";"), ""),
    ],
)
def test_what_is_meant_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, said: str) -> None:
    assert cells(read(tmp_path / "t.csv", text)) == EXPECTED
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(said) and all(said in message for message in messages)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8-sig", 0), ("utf-16", 0), ("utf-16-le-bom", 0), ("latin-1", 1), ("cp1252", 1)],
)
def test_encodings(tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str, said: int) -> None:
    text = PLAIN.replace("sick", "krank für €" if encoding != "latin-1" else "krank für")
    given = ("\ufeff" + text, "utf-16-le") if encoding == "utf-16-le-bom" else (text, encoding)
    assert cells(read(tmp_path / "t.csv", *given))[1][2].startswith("krank für")
    assert len(caplog.records) == said


def test_the_index_is_the_row_and_its_line(tmp_path: Path) -> None:
    frame = read(tmp_path / "t.csv", '# a\nx,y\n1,"two\nlines"\n\n2,b\n')
    assert frame.index.tolist() == [(1, 3), (2, 6)] and frame["y"].tolist() == ["two\nlines", "b"]


def test_quoted_delimiters_and_line_ends_in_the_heading(tmp_path: Path) -> None:
    frame = read(tmp_path / "t.csv", '"a, b, c\n(mg)";x;y\n1;2;3\n')
    assert list(frame.columns) == ["a, b, c\n(mg)", "x", "y"] and cells(frame)[1] == ("1", "2", "3")


def test_a_heading_that_begins_with_a_hash_is_a_heading(tmp_path: Path) -> None:
    assert list(read(tmp_path / "t.csv", "#chrom\tstart\ty\na\t1\tb\n").columns) == ["#chrom", "start", "y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b;y\n1,5;2,5;x\n3,5;4,5;y\n", [("a", "b", "y"), ("1,5", "2,5", "x"), ("3,5", "4,5", "y")]),
        ("a;b;c;y\n1,5;2,5;3,1;x\n3,5;4,5;5,1;y\n", [("a", "b", "c", "y"), ("1,5", "2,5", "3,1", "x")]),
        ("Size, cm;y\n1,5;x\n2,5;x\n", [("Size, cm", "y"), ("1,5", "x"), ("2,5", "x")]),
        ("a\tb\ty\n1,5\t2,5\tx\n3,5\t4,5\ty\n", [("a", "b", "y"), ("1,5", "2,5", "x")]),
        ("Report, May\n\na;b;y\n1,5;2,5;x\n3,5;4,5;y\n", [("a", "b", "y"), ("1,5", "2,5", "x")]),
    ],
)
def test_decimal_commas_in_every_row_are_no_delimiters(
    tmp_path: Path, text: str, expected: list[tuple[str, ...]]
) -> None:
    assert cells(read(tmp_path / "t.csv", text))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("#id,age\nr1,1,2\nr2,3,4\nr3,5,6\n", ["#id", "age"]),
        ("#id,age\n#7,1\n#8,2\n12,3\n#9,4\n", ["#id", "age"]),
        ("#id,age\n#7,1\n#8,2\n", ["#id", "age"]),
        ("Export of May\n\n#id,x,y\n#7,1,2\n8,2,2\n#9,2,2\n", ["#id", "x", "y"]),
        ("# about it\n#id,age\n7,1\n8,2\n", ["#id", "age"]),
    ],
)
def test_a_hash_may_begin_the_heading_and_cells(tmp_path: Path, text: str, names: list[str]) -> None:
    frame = read(tmp_path / "t.csv", text)
    assert list(frame.columns) == names and len(frame) == len(text.partition(",".join(names))[2].split())


def test_long_cells(tmp_path: Path) -> None:
    assert len(read(tmp_path / "t.csv", f"x,y\n{'a' * 200_000},b\n")["x"].iloc[0]) == 200_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PLAIN.replace("2,-1.25,well", "2,well"),
            r"line 3 has 2 cell\(s\), and by the heading in line 1 it should have 3",
        ),
        (PLAIN.replace("2,-1.25,well", "2,-1,25,well"), r"line 3 has 4 cell\(s\)"),
        (R.replace('"r1",', ""), r"line 3 has 3 cell\(s\), and by the heading in line 1 it should have 4"),
        (
            "dose,outcome\n" + "r,1,2,sick\n" * 9,
            r"line 2 has 4 cell\(s\), and by the heading in line 1 it should have 2",
        ),
        ('x,y\n1,"a\n2,b\n3,c\n', "a quotation mark that opens in line 2 is never closed"),
        ("x,y\n1,\0a\n", "no text"),
        ("age,age ,y\n1,2,a\n", r"'age' \(column 1\) and 'age ' \(column 2\) are the same name"),
    ],
)
def test_what_does_not_fit_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "t.csv", text)
    assert "\n" not in str(caught.value)


def test_equal_names_are_said_and_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = read(tmp_path / "t.csv", "a,a,a.1,,y\n1,2,3,4,p\n")
    assert list(frame.columns) == ["a", "a.2", "a.1", "Unnamed: 3", "y"]
    (record,) = caplog.records
    assert "the columns 1 and 2 are both called 'a'; they are taken as 'a', 'a.2'" in record.getMessage()
    with pytest.raises(DataError, match="columns 1 and 2 are both called 'y'"):
        (tmp_path / "t.csv").write_text("y,y\n1,2\n")
        read_table(tmp_path / "t.csv", ["y"])
