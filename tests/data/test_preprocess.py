"""Preprocessing: fitted on training rows, the same numbers from raw rows ever after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from autokd import data
from autokd.batching import single
from autokd.errors import DataError
from autokd.input_values import Preprocess
from autokd.modalities.images import ImagePreprocess
from autokd.modalities.rows import TablePreprocess
from autokd.networks.inputs import kind_of

CLASSES = ("p", "q")


def round_trip(preprocess: Preprocess) -> Any:
    return data.from_json(json.loads(json.dumps(preprocess.to_json(), allow_nan=False)))


def fitted(frame: pd.DataFrame) -> TablePreprocess:
    preprocess, _ = kind_of("table").fit(frame, CLASSES)
    assert isinstance(preprocess, TablePreprocess)
    return preprocess


def test_numbers_known_values() -> None:
    frame = pd.DataFrame({"x": ["1", " 3 ", "?", "8"]})
    preprocess = fitted(frame)
    (column,) = preprocess.columns
    assert column.median == 3.0 and column.mean == 3.75 and column.missing  # type: ignore[union-attr]
    assert column.scale == pytest.approx(6.6875**0.5)  # type: ignore[union-attr]
    expected = [[-2.75, 0], [-0.75, 0], [-0.75, 1], [4.25, 0]]
    scale = np.array([6.6875**0.5, 1])
    assert np.allclose(preprocess.apply(frame).numpy(), np.array(expected) / scale)
    assert preprocess.apply(frame).dtype == torch.float32


def test_missing_number_where_training_had_none_is_the_median() -> None:
    preprocess = fitted(pd.DataFrame({"x": [1.0, 2.0, 6.0]}))
    encoded = preprocess.apply(pd.DataFrame({"x": ["", "2"]}))
    assert encoded.shape == (2, 1) and encoded[0] == encoded[1]


def test_categories_known_values() -> None:
    frame = pd.DataFrame({"c": ["b", "a", None, "a"], "flag": [True, False, True, True]})
    preprocess = fitted(frame)
    assert preprocess.input_shape == (5,)
    new = pd.DataFrame({"flag": ["True", "maybe", ""], "c": [" a", "z", "?"], "more": [1, 2, 3]})
    assert preprocess.apply(new).tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]


def test_columns_that_stand_for_one_category_are_a_group() -> None:
    dates = ["2024-01-02", "2024-02-03", "2023-03-07"]
    preprocess = fitted(
        pd.DataFrame({"x": [1.5, None, 2.0], "c": ["b", "a", None], "day": dates, "d": ["u", "v", "w"]})
    )
    day = (1,) * preprocess.columns[2].width
    groups = kind_of("table").groups(preprocess)
    assert groups == (1, 1, 3, *day, 3) and sum(groups) == preprocess.input_shape[0]


def test_many_categories_are_cut_to_the_frequent_ones() -> None:
    cells = [f"c{i:03}" for i in range(120) for _ in range(3 if i % 2 else 2)]
    (column,) = fitted(pd.DataFrame({"c": cells})).columns
    assert len(column.categories) == 100 and not column.complete  # type: ignore[union-attr]
    assert {f"c{i:03}" for i in range(1, 120, 2)} <= set(column.categories)  # type: ignore[union-attr]


def test_columns_left_out(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame(
        {"x": [0, 1] * 15, "same": [5] * 30, "none": [None] * 30, "id": [f"k{i}" for i in range(30)], "row": range(30)}
    )
    preprocess, dropped = kind_of("table").fit(frame, CLASSES)
    assert dropped == {"same": "constant", "none": "constant", "id": "identifier"}
    assert preprocess.input_shape == (2,)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2 and "'id' is left out" in messages[0] and "'row' looks like a row number" in messages[1]
    with pytest.raises(DataError, match="no column can be used"):
        kind_of("table").fit(frame[["same"]], CLASSES)


@pytest.mark.parametrize(
    ("cells", "message"),
    [(["1", "inf", "3"], "infinite value in row 2"), (["1", "2", "abc"], "'abc' in row 3 is not a number")],
)
def test_cells_that_cannot_be_used(cells: list[str], message: str) -> None:
    preprocess = fitted(pd.DataFrame({"age": [1, 2, 4]}))
    with pytest.raises(DataError, match=f"column 'age': .*{message}"):
        preprocess.apply(pd.DataFrame({"age": cells}))


def test_infinite_training_value_names_the_column_and_the_row_of_the_file() -> None:
    frame = pd.DataFrame({"age": [1.0, 5.0, np.inf, 2.0]})
    with pytest.raises(DataError, match="column 'age': an infinite value in row 3"):
        kind_of("table").fit(frame, CLASSES)
    with pytest.raises(DataError, match="column 'age': an infinite value in row 3"):
        kind_of("table").fit(frame.iloc[[3, 2, 0]], CLASSES)


def test_absent_column_and_wrong_kind() -> None:
    table = fitted(pd.DataFrame({"age": [1, 2, 4]}))
    with pytest.raises(DataError, match="no column 'age'; did you mean 'Age'"):
        table.apply(pd.DataFrame({"Age": [1]}))
    with pytest.raises(DataError, match="expected a table"):
        table.apply(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    image, _ = kind_of("image").fit(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), CLASSES)
    with pytest.raises(DataError, match=r"expected uint8 images .* got torch.float32 \[1, 1, 2, 2\]"):
        image.apply(torch.zeros(1, 1, 2, 2))


def test_image_moments() -> None:
    images = torch.tensor([[[[0, 255], [0, 255]], [[51, 51], [51, 51]], [[0, 0], [0, 51]]]], dtype=torch.uint8)
    preprocess, _ = kind_of("image").fit(images, CLASSES)
    assert preprocess.mean == (0.5, 0.2, 0.05)
    assert preprocess.std == (0.5, 1.0, 0.086603)  # a constant channel is not scaled; 0.2·√3/4
    assert preprocess.input_shape == (3, 2, 2)


def test_images_are_brought_to_size_and_channels() -> None:
    preprocess = ImagePreprocess(classes=CLASSES, channels=1, size=(2, 2), mean=(0.5,), std=(0.5,))
    same = torch.randint(0, 256, (3, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert preprocess.apply(same) is same
    colour = torch.full((1, 3, 6, 4), 90, dtype=torch.uint8)
    assert preprocess.apply(colour).tolist() == [[[[90, 90], [90, 90]]]]


@pytest.mark.parametrize("name", ["digits", "wine"])
def test_json_round_trip(name: str) -> None:
    dataset = data.load(name)
    assert round_trip(dataset.preprocess) == dataset.preprocess


def test_unknown_json_is_refused() -> None:
    plain = data.load("wine").preprocess.to_json()
    for wrong, message in [
        (plain | {"format": 2}, "format 2 is not known"),
        (plain | {"kind": "sound"}, "not a preprocessing"),
        (plain | {"more": 1}, "not a preprocessing"),
        (plain | {"rules": {"unknown": "guess"}}, "rules .* is not known"),
    ]:
        with pytest.raises(DataError, match=message):
            data.from_json(wrong)


def _mixed_table(path: Path) -> None:
    frame = load_wine(as_frame=True).frame
    frame["colour"] = np.where(frame["hue"] > 1, "deep", "light")
    frame.loc[::7, "colour"] = "?"
    frame["ash"] = frame["ash"].astype(object)
    frame.loc[::5, "ash"] = ""
    frame.to_csv(path, index=False)


def test_table_from_raw_rows_bit_for_bit(tmp_path: Path) -> None:
    _mixed_table(tmp_path / "wine.csv")
    dataset = data.load(tmp_path / "wine.csv", data.DataOptions(target="target"))
    assert dataset.task.input_shape == (17,)  # 13 numbers, a missing mark, 2 categories and missing
    raw = data.read_inputs(dataset.preprocess, [tmp_path / "wine.csv"])
    again = round_trip(dataset.preprocess).apply(raw.inputs)
    trained = torch.cat(
        [single(dataset.train.inputs), single(dataset.validation.inputs), single(dataset.read_test().inputs)]
    )
    assert sorted(row.numpy().tobytes() for row in again) == sorted(row.numpy().tobytes() for row in trained)
    one_row = round_trip(dataset.preprocess).apply(raw.inputs.iloc[[4]])
    assert one_row.numpy().tobytes() == again[4].numpy().tobytes()


@pytest.mark.parametrize("image_size", [None, 5])
def test_images_from_files_bit_for_bit(tmp_path: Path, image_size: int | None) -> None:
    digits = load_digits()
    for label in (0, 1):
        (tmp_path / "set" / str(label)).mkdir(parents=True)
        for row in np.flatnonzero(digits.target == label)[:9]:
            wide = np.kron(digits.images[row], np.ones((1, 2)))  # 8x16: is squashed
            pixels = np.rint(wide * (255 / 16)).astype(np.uint8)
            Image.fromarray(np.stack([pixels] * 3, axis=2)).save(tmp_path / "set" / str(label) / f"{row}.png")
    dataset = data.load(tmp_path / "set", data.DataOptions(image_size=image_size))
    raw = data.read_inputs(dataset.preprocess, [tmp_path / "set"])
    again = round_trip(dataset.preprocess).apply(raw.inputs)
    trained = torch.cat(
        [single(dataset.train.inputs), single(dataset.validation.inputs), single(dataset.read_test().inputs)]
    )
    side = image_size or 11  # of as many pixels as 8x16
    assert again.shape[1:] == (1, side, side)
    assert sorted(image.numpy().tobytes() for image in again) == sorted(image.numpy().tobytes() for image in trained)
