"""Stored predictions: which numbers, which classes, which samples; and a study whose teacher they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from autokd.data import DataOptions, Dataset, load
from autokd.errors import ComponentError, TeacherError
from autokd.networks.reference import describe, load_teacher
from autokd.types import Teacher
from tests.datasets.helpers import write_noise


@pytest.fixture(scope="module")
def cancer() -> Dataset:
    return load("breast_cancer")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A table of 60 rows with a column of names, and classes whose order by text is not that by number."""
    file = tmp_path_factory.mktemp("table") / "plants.csv"
    rows = np.arange(60)
    frame = pd.DataFrame({"id": [f"p{row:02d}" for row in rows], "size": rows % 7 * 1.5, "kind": rows % 3 * 9 + 1})
    frame.to_csv(file, index=False)
    return load(file, DataOptions(target="kind"))


def shares(count: int, classes: int, seed: int = 0) -> NDArray[np.float64]:
    found = np.random.default_rng(seed).dirichlet(np.ones(classes), count)
    return np.asarray(found)


def said_of(teacher: Teacher, data: Dataset) -> NDArray[np.float64]:
    """What a teacher says of validation, as probabilities."""
    assert data.validation.ids is not None
    logits = teacher.answer(data.validation.ids, data.validation.inputs).logits  # type: ignore[attr-defined]
    return np.asarray(logits.softmax(-1))


def read(file: Path | str, data: Dataset, options: str = "") -> Teacher:
    return load_teacher(f"predictions:{options}{'@' if options else ''}{file}", data.task, samples=data.samples)


def validation_rows(data: Dataset) -> NDArray[np.int64]:
    """Where the validation samples stood in the data as they were read."""
    return np.asarray(data.samples.numbers)[np.asarray(data.validation.ids)]


@pytest.mark.parametrize("options", ["", "values=logits", "values=probabilities"])
def test_arrays_are_in_the_order_of_the_data(cancer: Dataset, tmp_path: Path, options: str) -> None:
    given = shares(569, 2)
    name: dict[str, Any] = {options.removeprefix("values=") or "anything": given}
    if "logits" in options:
        name = {"logits": np.log(given) + 3}
    np.savez(tmp_path / "p.npz", **name)
    teacher = read(tmp_path / "p.npz", cancer, options)
    np.testing.assert_allclose(said_of(teacher, cancer), given[validation_rows(cancer)], atol=1e-6)
    assert ("logits" if "logits" in options else "probabilities") in teacher.origin
    assert not teacher.offers.views and not teacher.offers.features


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (np.array([[2.0, -1.0, 0.5]]), "logits"),
        (np.array([[0.2, 0.5, 0.3]]), "probabilities"),
        (np.array([[0.333, 0.333, 0.333]]), "probabilities"),
        (np.array([[20.0, 50.0, 30.0]]), "probabilities in percent"),
        (np.array([[20.0, 50.0, 31.5]]), "logits"),
        (np.log(np.array([[0.2, 0.8, 0.0]]) + 1e-30), "logits"),
        (np.array([[0.0, 1.0, 0.0]]), "probabilities"),
    ],
)
def test_numbers_say_what_they_are(table: Dataset, tmp_path: Path, given: NDArray[np.float64], taken: str) -> None:
    np.save(tmp_path / "p.npy", np.repeat(given, 60, axis=0))
    teacher = read(tmp_path / "p.npy", table)
    assert f"({taken})" in teacher.origin
    expected = given / given.sum() if taken != "logits" else np.exp(given) / np.exp(given).sum()
    np.testing.assert_allclose(said_of(teacher, table)[0], expected[0], atol=1e-6)


def _write(frame: pd.DataFrame, file: Path) -> Path:
    frame.to_parquet(file, index=False) if file.suffix == ".parquet" else frame.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("columns", [["1", "10", "19"], ["p(1)", "p(10)", "p(19)"], ["probability of 19", "label"]])
def test_columns_name_classes_in_any_order(table: Dataset, tmp_path: Path, suffix: str, columns: list[str]) -> None:
    given = shares(60, 3)
    if columns[-1] == "label":  # as `autokd predict` writes them
        columns = ["probability of 1", "probability of 10", "probability of 19"]
        frame = pd.DataFrame(given, columns=columns)[columns[::-1]].assign(label="1", probability=given.max(1))
        frame.insert(0, "input", [f"plants.csv:{row + 1}" for row in range(60)])
    else:
        frame = pd.DataFrame(given, columns=columns)[[columns[2], columns[0], columns[1]]]
    teacher = read(_write(frame, tmp_path / f"p{suffix}"), table)
    np.testing.assert_allclose(said_of(teacher, table), given[validation_rows(table)], atol=1e-6)


@pytest.mark.parametrize("key", ["row from 0", "row from 1", "id"])
def test_keys_say_which_row_is_meant(table: Dataset, tmp_path: Path, key: str) -> None:
    given, order = shares(60, 3), np.random.default_rng(1).permutation(60)
    keys: dict[str, Any] = {"row from 0": order, "row from 1": order + 1, "id": [f"p{row:02d}" for row in order]}
    frame = pd.DataFrame(given[order], columns=["class_0", "class_1", "class_2"])
    frame[key.partition(" ")[0]] = keys[key]
    teacher = read(_write(frame, tmp_path / "p.csv"), table)
    np.testing.assert_allclose(said_of(teacher, table), given[validation_rows(table)], atol=1e-6)


@pytest.mark.parametrize("form", ["absolute", "below the folder", "of another machine", "windows"])
def test_pictures_are_keyed_by_file(tmp_path: Path, form: str) -> None:
    write_noise(tmp_path / "pets", ["cat", "dog"], each=10)  # both have 0.png … 9.png
    data = load(tmp_path / "pets")
    assert data.samples.names is not None
    files = [Path(name).relative_to(tmp_path / "pets").as_posix() for name in data.samples.names]
    written = {
        "absolute": [str(tmp_path / "pets" / file) for file in files],
        "below the folder": files,
        "of another machine": [f"/somewhere/else/{file}" for file in files],
        "windows": [f"C:\\data\\{file}".replace("/", "\\") for file in files],
    }[form]
    given = shares(20, 2)
    order = np.random.default_rng(2).permutation(20)
    frame = pd.DataFrame(given[order], columns=["cat", "dog"]).assign(file=np.array(written, dtype=object)[order])
    teacher = read(_write(frame, tmp_path / "p.csv"), data)
    assert data.validation.ids is not None
    np.testing.assert_allclose(said_of(teacher, data), given[data.validation.ids], atol=1e-6)


def test_one_column_is_about_the_second_of_two_classes(cancer: Dataset, tmp_path: Path) -> None:
    given = shares(569, 2)
    np.savez(tmp_path / "p.npz", proba=given[:, 1])
    said = said_of(read(tmp_path / "p.npz", cancer), cancer)
    np.testing.assert_allclose(said, given[validation_rows(cancer)], atol=1e-6)


def test_names_of_classes_may_be_given_beside(table: Dataset, tmp_path: Path) -> None:
    given = shares(60, 4)
    np.savez(tmp_path / "p.npz", a=given)
    names = {"classes": ("19", "none", "1", "10")}
    teacher = load_teacher(f"predictions:{tmp_path / 'p.npz'}", table.task, names, table.samples)
    wanted = given[:, [2, 3, 0]] / given[:, [2, 3, 0]].sum(1, keepdims=True)
    np.testing.assert_allclose(said_of(teacher, table), wanted[validation_rows(table)], atol=1e-6)


def _arrays(**arrays: Any) -> Any:
    def write(folder: Path) -> Path:
        np.savez(folder / "p.npz", **arrays)
        return folder / "p.npz"

    return write


def _frame(**columns: Any) -> Any:
    return lambda folder: _write(pd.DataFrame(columns), folder / "p.csv")


GOOD = {str(name): np.full(60, 1 / 3) for name in (1, 10, 19)}
ROWS = np.arange(60)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_arrays(a=np.ones((59, 3)) / 3), "59 rows, and the data have 60 samples; give one for each"),
        (_arrays(a=np.ones((60, 2)) / 2), "2 numbers a row; plants has 3 classes: 1, 10, 19"),
        (_arrays(a=np.ones((60, 4)) / 4), "4 numbers a row; plants has 3 classes"),
        (_arrays(a=np.full((60, 3), np.nan)), "60 of 60 rows hold NaN, infinity or nothing, the first is number 1"),
        (_arrays(a=np.full((60, 3), 0.7)), "no probabilities, which sum to 1; logits that happen to lie there"),
        (_arrays(probabilities=np.full((60, 3), 2.0)), "lie between 2 and 2 and sum to 6 to 6 a row"),
        (_arrays(a=np.ones((60, 3)) / 3, classes=["1", "10", "ten"]), "does not know 1 of the 3 classes of plants: 19"),
        (_arrays(a=np.ones((60, 3)) / 3, classes=["1", "10"]), "3 numbers a row, and the names of 2 classes"),
        (_arrays(a=np.ones((60, 3)) / 3, classes=["1", "1", "19"]), "does not know 1 of the 3 classes of plants: 10"),
        (_arrays(a=np.ones((60, 3)) / 3, row=ROWS[:50]), "60 predictions, and 50 in 'row'"),
        (_arrays(a=np.array([{}], dtype=object)), "it holds Python objects, which could run code"),
        (_arrays(a=np.ones((60, 3)), b=np.ones((60, 3))), "call the array [samples, classes] of predictions 'logits'"),
        (
            _frame(cat=GOOD["1"], dog=GOOD["1"], hen=GOOD["1"]),
            "no column for each class; expected columns called 1, 10",
        ),
        (_frame(**GOOD, row=np.where(ROWS == 5, 4, ROWS)), "rows 5 and 6 are both about row '4'"),
        (_frame(**{**GOOD, "10": ["x"] + [1 / 3] * 59}), "column '10': 'x' in row 1 (line 2) is no number"),
        (_frame(**{**GOOD, "10": [None] + [1 / 3] * 59}), "1 of 60 rows hold NaN, infinity or nothing, the first is"),
        (_frame(**GOOD, row=ROWS + 2), "numbered 2 to 61, and the data have 60"),
        (_frame(**{k: v[:58] for k, v in GOOD.items()}, row=ROWS[:58] + 1), "may count from 0 or from 1"),
        (_frame(**GOOD, id=[f"q{row:02d}" for row in ROWS]), "60 of 60 samples have no prediction, the first is 'p"),
        (_frame(**GOOD, row=[f"q{row:02d}" for row in ROWS]), "row 'q00' is no number of a row of the data"),
        (lambda folder: folder / "none.csv", "none.csv: no such file"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(table: Dataset, tmp_path: Path, write: Any, message: str) -> None:
    with pytest.raises(TeacherError) as caught:
        read(write(tmp_path), table)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_sample_is_named_by_its_row(table: Dataset, tmp_path: Path) -> None:
    place = next(place for place in validation_rows(table).tolist() if place not in (0, 59))
    kept = np.delete(ROWS, place)
    frame = pd.DataFrame({key: value[kept] for key, value in GOOD.items()}).assign(row=kept + 1)
    with pytest.raises(TeacherError, match=rf"1 of 60 samples have no prediction, the first is row {place + 1};"):
        read(_write(frame, tmp_path / "p.csv"), table)


def test_pictures_need_a_key(tmp_path: Path) -> None:
    write_noise(tmp_path / "pets", ["cat", "dog"], each=10)
    np.savez(tmp_path / "p.npz", a=shares(20, 2))
    with pytest.raises(TeacherError, match="say in a column 'file' which picture each row is about"):
        read(tmp_path / "p.npz", load(tmp_path / "pets"))


def test_the_reference_says_what_is_wrong_with_it(table: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"'predictions:' names no file; expected predictions:FILE"):
        load_teacher("predictions:", table.task)
    with pytest.raises(TeacherError, match=r"has no option 'value'; did you mean 'values'\?"):
        read(tmp_path / "p.npz", table, "value=logits")
    with pytest.raises(TeacherError, match="values is one of auto, logits, probabilities, got 'percent'"):
        read(tmp_path / "p.npz", table, "values=percent")


def test_a_changed_file_is_noticed(cancer: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    np.savez(file, a=shares(569, 2))
    described = describe(f"predictions:{file}")
    first = load_teacher(described, cancer.task, samples=cancer.samples)
    np.savez(file, a=shares(569, 2, seed=1))
    assert read(file, cancer).fingerprint != first.fingerprint
    with pytest.raises(TeacherError, match="has changed"):
        load_teacher(described, cancer.task, samples=cancer.samples)


def test_it_never_answers_to_inputs(cancer: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", a=shares(569, 2))
    with pytest.raises(ComponentError, match="answers about the samples of its dataset"):
        read(tmp_path / "p.npz", cancer).predict(torch.zeros(2, 30))
