"""Tables are read as they were written, or refused in one line."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st

from autokd import data
from autokd.batching import single
from autokd.data_types import DataContext, Raw
from autokd.datasets import arrays
from autokd.datasets._table_file import TableFile
from autokd.modalities import dates as calendar
from autokd.modalities.columns import CategoricalColumn, DateColumn, NumericColumn
from autokd.modalities.numerals import number
from autokd.modalities.rows import TablePreprocess
from autokd.modalities.table_text import read_text
from autokd.modalities.tables import MISSING
from autokd.networks.inputs import kind_of
from autokd.tables import csv_text, escape_csv, runs_in_a_spreadsheet
from tests.properties.outcomes import Outcomes
from tests.properties.written_tables import WORDS, Column, Written, people_tables, same_number, tables


def read(written: Written, folder: str) -> tuple[Path, Raw]:
    file = Path(folder) / "table.csv"
    file.write_bytes(written.content)
    component = TableFile(file=str(file), target=written.target.strip(), classification=True)
    return file, component.build(DataContext(cache=Path(folder)))


def normal(text: str) -> str:
    """A text as a reader may give it: blanks around it cut, one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def same_class(found: str, meant: str) -> bool:
    return found == meant or number(found) == number(meant)


def check_cells(written: Written, file: Path) -> None:
    frame = read_text(file)
    assert [normal(str(name)) for name in frame.columns] == [normal(each.name) for each in written.columns]
    for name, each in zip(frame.columns, written.columns, strict=True):
        assert list(map(normal, frame[name])) == list(map(normal, each.cells)), each.name


def check_meaning(column: Column, raw: Raw, preprocess: TablePreprocess, dropped: dict[str, str]) -> None:
    """Check that what is learnt from a column is what its cells mean."""
    name = normal(column.name)
    fitted = next((each for each in preprocess.columns if normal(each.name) == name), None)
    if fitted is None:
        assert any(normal(left) == name for left in dropped) or name not in map(normal, raw.train.inputs.columns), name
        return
    encoded = fitted.encode(raw.train.inputs[fitted.name])
    match fitted:
        case NumericColumn():
            values = encoded[:, 0] * fitted.scale + fitted.mean
            for row, (cell, meant) in enumerate(zip(column.cells, column.values, strict=True)):
                expected = meaning(cell, meant, column.kind)
                assert same_number(values[row], expected, fitted.median, fitted.scale), (name, cell, values[row])
                assert not fitted.missing or encoded[row, 1] == (expected is None), (name, cell)
        case DateColumn():
            assert column.kind == "date", (name, fitted.pattern, column.cells)
            days = [None if meant is None else pd.Timestamp(meant).timestamp() / 86400 for meant in column.values]
            found = calendar.parts(calendar.parse(list(map(normal, column.cells)), fitted.pattern))[:, 0]
            assert all(
                math.isnan(day) if meant is None else same_number(day, meant, math.nan)
                for day, meant in zip(found, days, strict=True)
            ), (name, fitted.pattern, column.cells)
        case CategoricalColumn():
            for row, cell in enumerate(map(normal, column.cells)):
                (hot,) = np.nonzero(encoded[row])[0] if encoded[row].any() else (None,)
                if cell.lower() in MISSING:
                    assert hot == (len(fitted.categories) if fitted.missing else None)
                elif hot is None:
                    assert not fitted.complete and cell not in fitted.categories, cell
                else:
                    assert same_class(fitted.categories[hot], cell), (fitted.categories[hot], cell)


def meaning(cell: str, meant: Any, kind: str) -> float | None:
    """The number that a cell of a column read as numbers means; a text among numbers means none."""
    if kind == "number" or meant is None:
        return None if meant is None else float(meant)
    found = number(normal(cell))
    return None if math.isnan(found) else found


def check(written: Written) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, raw = read(written, folder)
        check_cells(written, file)
        named = [raw.classes[label] for label in raw.train.labels]
        assert all(map(same_class, named, map(normal, written.columns[-1].cells))), (named, written.columns[-1].cells)
        distinct = {number(cell) if not math.isnan(number(cell)) else cell for cell in written.columns[-1].cells}
        assert len(raw.classes) == len(distinct), raw.classes
        preprocess, dropped = kind_of("table").fit(raw.train.inputs, raw.classes)
        assert isinstance(preprocess, TablePreprocess)
        for column in written.columns[:-1]:
            check_meaning(column, raw, preprocess, dropped)
        restored = data.from_json(preprocess.to_json())
        again = data.read_inputs(restored, [file])
        learnt, new = (
            single(each.apply(rows)) for each, rows in ((preprocess, raw.train.inputs), (restored, again.inputs))
        )
        assert torch.equal(learnt, new), "as predict reads it"


def test_tables_as_programs_write_them() -> None:
    outcomes = Outcomes(refused=0.35)

    @given(tables())
    def run(written: Written) -> None:
        with outcomes.one():
            check(written)

    run()
    outcomes.check()


def test_tables_of_odd_texts() -> None:
    outcomes = Outcomes(refused=0.5)

    @given(tables(kinds=("text", "text", "number")))
    def run(written: Written) -> None:
        with outcomes.one():
            check(written)

    run()
    outcomes.check()


def test_numbers_as_people_write_them() -> None:
    outcomes = Outcomes()

    @given(people_tables())
    def run(written: Written) -> None:
        with outcomes.one():
            check(written)
            with tempfile.TemporaryDirectory() as folder:
                _, raw = read(written, folder)
                fitted, _ = kind_of("table").fit(raw.train.inputs, raw.classes)
                assert isinstance(fitted, TablePreprocess)
                assert all(isinstance(column, NumericColumn) for column in fitted.columns), fitted.columns

    run()
    outcomes.check()


SERIES: dict[str, Any] = {
    "float": lambda n: pd.Series([0.5 * row if row % 5 else None for row in range(n)]),
    "int": lambda n: pd.Series(range(n)) % 7,
    "Int64": lambda n: pd.Series([row % 3 if row % 4 else None for row in range(n)], dtype="Int64"),
    "Float32": lambda n: pd.Series([row / 4 if row % 4 else None for row in range(n)], dtype="Float32"),
    "bool": lambda n: pd.Series(range(n)) % 2 == 0,
    "boolean": lambda n: pd.Series([None if row % 5 == 0 else row % 2 == 0 for row in range(n)], dtype="boolean"),
    "category": lambda n: pd.Series([f"c{row % 3}" for row in range(n)], dtype="category"),
    "ordered": lambda n: pd.Series(pd.Categorical([row % 3 for row in range(n)], ordered=True)),
    "string": lambda n: pd.Series([None if row % 5 == 0 else f"s{row % 2}" for row in range(n)], dtype="string"),
    "date": lambda n: pd.Series(pd.date_range("2024-01-31", periods=n, freq="36h")),
    "zoned": lambda n: pd.Series(pd.date_range("2024-01-31", periods=n, freq="7D", tz="Europe/Berlin")),
    "day": lambda n: pd.Series([pd.Timestamp("2024-01-31").date()] * (n // 2) + [None] * (n - n // 2), dtype=object),
    "duration": lambda n: pd.Series(pd.to_timedelta(range(n), unit="h")),
    "period": lambda n: pd.Series(pd.period_range("2024-01", periods=n, freq="M")),
    "interval": lambda n: pd.Series(pd.cut(range(n), 3)),
    "complex": lambda n: pd.Series([complex(row % 4, 1) for row in range(n)]),
    "mixed": lambda n: pd.Series([(1, "a", None, 2.5, b"b")[row % 5] for row in range(n)], dtype=object),
    "lists": lambda n: pd.Series([[row % 2, 1] for row in range(n)]),
    "arrays": lambda n: pd.Series([np.zeros(2) for _ in range(n)]),
    "huge": lambda n: pd.Series([10**20 + row % 3 for row in range(n)], dtype=object),
    "unsigned": lambda n: pd.Series([2**63 + row % 3 for row in range(n)], dtype="uint64"),
    "half": lambda n: pd.Series([row % 5 for row in range(n)], dtype="float16"),
    "infinite": lambda n: pd.Series([math.inf if row == 3 else row for row in range(n)]),
    "numbers as text": lambda n: pd.Series([f"{row},5" for row in range(n)]),
    "bytes": lambda n: pd.Series([b"x" if row % 2 else b"y" for row in range(n)]),
    "nothing": lambda n: pd.Series([None] * n, dtype=object),
}
"""Columns as people have them in Python, of n rows."""
LABELS: dict[str, Any] = {
    "texts": lambda n: [("a", "b")[row % 2] for row in range(n)],
    "numbers": lambda n: np.arange(n) % 2,
    "floats": lambda n: (np.arange(n) % 2).astype(float),
    "booleans": lambda n: pd.Series(np.arange(n) % 2 == 0, index=range(n, 0, -1)),
    "categories": lambda n: pd.Categorical([("a", "b")[row % 2] for row in range(n)]),
    "Int8": lambda n: pd.Series(np.arange(n) % 2, dtype="Int8"),
    "column": lambda n: pd.DataFrame({"y": np.arange(n) % 2}),
    "one-hot": lambda n: np.eye(2)[np.arange(n) % 2],
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, Any, list[int]]:
    """A table and its labels as people have them in Python, and the class of each row."""
    n = draw(st.sampled_from((10, 30)))
    kinds = draw(st.lists(st.sampled_from(sorted(SERIES)), min_size=1, max_size=4))
    names: list[Any] = draw(
        st.lists(st.sampled_from(["a", "b c", 1, 2.5, ("x", "y"), None, "label", "ä"]), min_size=len(kinds),
                 max_size=len(kinds), unique=True)
    )  # fmt: skip
    frame = pd.concat([SERIES[kind](n) for kind in kinds], axis=1)
    frame.columns = pd.Index(names, tupleize_cols=False)
    frame.index = pd.Index(draw(st.sampled_from([range(n), range(n, 0, -1), [f"p{row}" for row in range(n)]])))
    return frame, LABELS[draw(st.sampled_from(sorted(LABELS)))](n), [row % 2 for row in range(n)]


def classes_of(values: pd.Series) -> list[int]:
    """What a column would be as a label: the place of each row's text among its texts."""
    texts = list(map(str, values))
    return [sorted(set(texts)).index(text) for text in texts]


def flipped(classes: list[int]) -> list[int]:
    return [1 - label for label in classes]


def test_tables_in_python() -> None:
    outcomes = Outcomes(refused=0.6)

    @given(frames())
    def run(given: tuple[pd.DataFrame, Any, list[int]]) -> None:
        frame, labels, classes = given
        with tempfile.TemporaryDirectory() as folder, outcomes.one():
            before = frame.copy(deep=True)
            component = arrays.from_arrays(frame, labels, Path(folder))
            pd.testing.assert_frame_equal(frame, before)
            raw = component.build(DataContext(cache=Path(folder)))
            split = len({(label, meant) for label, meant in zip(raw.train.labels, classes, strict=True)})
            assert split == 2 == len(raw.classes), "rows and labels go together"
            preprocess, dropped = kind_of("table").fit(raw.train.inputs, raw.classes)
            assert isinstance(preprocess, TablePreprocess)
            used = {column.name for column in preprocess.columns} | set(dropped)
            copies = {str(name) for name in frame.columns if classes_of(frame[name]) in (classes, flipped(classes))}
            assert used <= set(map(str, frame.columns)) <= used | copies
            expected = preprocess.apply(raw.train.inputs)
            read = kind_of("table").given(data.from_json(preprocess.to_json()), frame, skip_bad=False)
            assert np.array_equal(preprocess.apply(read.inputs), expected), "the same in predict"
            assert np.isfinite(expected.numpy()).all()

    run()
    outcomes.check()


CELLS = st.sampled_from(WORDS) | st.text(max_size=8) | st.integers().map(str) | st.floats().map(str)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_predictions_read_back_as_they_were(cells: list[tuple[str, str]]) -> None:
    frame = pd.DataFrame(cells, columns=["input", "label"]).assign(probability=0.25)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "out.csv"
        text = csv_text(escape_csv(frame, ("input", "label")))
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        again = pd.read_csv(file, dtype=str, keep_default_na=False, encoding_errors="surrogatepass")
    for name in ("input", "label"):
        for wrote, found in zip(frame[name], again[name], strict=True):
            guarded = f"'{wrote}" if runs_in_a_spreadsheet(wrote) else wrote
            assert normal(found) == normal(guarded)
