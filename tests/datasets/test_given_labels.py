"""Labels given in Python mean what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from autokd import data
from autokd.batching import single
from autokd.datasets import arrays
from autokd.errors import DataError

PICTURES = (np.arange(24 * 64).reshape(24, 8, 8) % 251).astype(np.uint8)
TABLE = PICTURES.reshape(24, 64)[:, :6]
NUMBERS = np.arange(24) % 3
ONE_HOT = np.eye(3, dtype=int)[NUMBERS]


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        NUMBERS[:, None],
        NUMBERS.astype(float),
        NUMBERS.astype("S1"),
        [str(n).encode() for n in NUMBERS],
        NUMBERS.astype(str),
        [np.int64(n) for n in NUMBERS],
        [torch.tensor(n) for n in NUMBERS],
        [[n] for n in NUMBERS],
        torch.from_numpy(NUMBERS)[:, None],
        ONE_HOT,
        ONE_HOT.astype(bool),
        ONE_HOT.astype(np.float32),
        torch.from_numpy(ONE_HOT),
        ONE_HOT.tolist(),
        pd.Series(NUMBERS, index=range(100, 124)),
        pd.Series(NUMBERS).astype("category"),
        pd.DataFrame({"y": NUMBERS}),
        pd.DataFrame(ONE_HOT),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_the_same_labels_in_every_form(labels: Any) -> None:
    for inputs in (PICTURES, TABLE):
        dataset = data.load((inputs, labels))
        assert dataset.task.classes == ("0", "1", "2")
        assert dataset.task.fingerprint == data.load((inputs, NUMBERS)).task.fingerprint


def test_booleans_and_headings_are_names() -> None:
    truth = NUMBERS > 0
    for labels in (truth, truth[:, None], list(truth), torch.from_numpy(truth), pd.Series(truth)):
        assert data.load((PICTURES, labels)).task.classes == ("False", "True")
    named = pd.DataFrame(ONE_HOT, columns=["cat", "dog", "cow"])
    dataset = data.load((PICTURES, named))
    assert dataset.task.classes == ("cat", "dog", "cow")
    assert data.load((TABLE, named)).task.classes == ("cat", "cow", "dog")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (ONE_HOT + np.roll(ONE_HOT, 1, 1), r"shape \(24, 3\) with 2 ones in row 1: that is multi-label"),
        (ONE_HOT * (NUMBERS > 0)[:, None], "0 ones in row 1: that is multi-label"),
        (ONE_HOT * 0.8 + 0.2 / 3, "probabilities of classes.*argmax"),
        (np.random.default_rng(0).normal(size=(24, 2)), "several quantities a sample, a regression"),
        (np.linspace(0, 1, 24), "24 different numbers in 24 rows, which looks like a regression"),
        (np.zeros((24, 2, 2)), r"shape \(24, 2, 2\); expected one class a sample"),
        ([[0]] * 23 + [[0, 1]], "rows of different lengths"),
        (np.array([["a", "b"]] * 24), "holds no numbers"),
    ],
)
def test_what_is_no_class_a_sample_is_called_by_its_name(tmp_path: Path, labels: Any, message: str) -> None:
    for inputs in (PICTURES, TABLE):
        with pytest.raises(DataError, match=message) as caught:
            arrays.from_arrays(inputs, labels, tmp_path)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_whole_numbers_are_classes_of_pictures_however_many() -> None:
    pictures = np.repeat(PICTURES[:, :4, :4], 10, 0)[:180]
    assert data.load((pictures, np.repeat(np.arange(60), 3))).task.num_classes == 60
    assert data.load((pictures, [f"{n}.0" for n in np.repeat(np.arange(60), 3)])).task.num_classes == 60


@pytest.mark.parametrize("names", [[1, "1", "b"], ["a", "b", "b"], ["a", "a ", "b"], [1, "1 ", 2]])
def test_columns_of_the_same_name_are_one_line(tmp_path: Path, names: list[Any]) -> None:
    table = pd.DataFrame(np.random.default_rng(0).random((24, 3)), columns=names)
    with pytest.raises(DataError, match=r"X: .* \(column \d\) and .* \(column \d\) are the same name") as caught:
        arrays.from_arrays(table, NUMBERS, tmp_path)
    assert "\n" not in str(caught.value)


def test_columns_that_are_called_by_numbers() -> None:
    table = pd.DataFrame(np.random.default_rng(0).random((24, 3)), columns=[1, 2.5, "b"])
    dataset = data.load((table, NUMBERS))
    assert [column.name for column in vars(dataset.preprocess)["columns"]] == ["1", "2.5", "b"]
    assert single(dataset.train.inputs).shape[1] == 3


def test_complex_numbers_are_one_line(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": range(24), "z": np.arange(24) * 1j})
    with pytest.raises(DataError, match="X: column 'z' holds complex numbers; give real and imaginary parts apart"):
        arrays.from_arrays(table, NUMBERS, tmp_path)
