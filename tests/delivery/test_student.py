"""The student in Python: whatever form a sample comes in, the answer is that of training's preprocessing."""

from __future__ import annotations

import copy
import dataclasses
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits

import autokd
from autokd.delivery.bundle import load_student
from autokd.delivery.student import Student
from autokd.engine.build import build_student
from autokd.errors import DataError
from autokd.modalities.decoding import Reading
from autokd.modalities.images import ImagePreprocess
from autokd.modalities.rows import TablePreprocess
from autokd.networks.models import seeded
from autokd.spec import make
from autokd.types import Task
from tests.delivery.test_bundle import Bundles


@pytest.fixture
def pixels() -> np.ndarray:
    """Five digits [5, 8, 8], uint8."""
    return np.rint(load_digits().images[:5] * 255 / 16).astype(np.uint8)


@pytest.fixture
def rows() -> pd.DataFrame:
    return load_breast_cancer(as_frame=True).data.iloc[10:14]


def made_up(channels: int, size: tuple[int, int], reading: Reading | None = None) -> Student:
    """An untrained student for images (height, width)."""
    preprocess = ImagePreprocess(
        classes=("a", "b"), channels=channels, size=size, mean=(0.4,) * channels, std=(0.3,) * channels,
        reading=reading or Reading(),
    )  # fmt: skip
    task = Task(
        dataset="made", modality="image", input_shape=(channels, *size), classes=("a", "b"), train_size=9,
        mean=preprocess.mean, std=preprocess.std,
    )  # fmt: skip
    with seeded(0):
        network = build_student(make("students", "cnn", {"layers": 1, "width": 4}), task)
    return Student(network, task, preprocess, torch.device("cpu"), "cnn")


def forms(images: np.ndarray, folder: Path) -> dict[str, Any]:
    """The same grey images in every form in which people have them."""
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place}.png")
    files = sorted(folder.glob("*.png"))
    tensor = torch.from_numpy(images)
    return {
        "paths": files,
        "names": list(map(str, files)),
        "a generator of paths": (file for file in files),
        "folder": folder,
        "the folder's name": str(folder),
        "PIL": [Image.fromarray(image) for image in images],
        "PIL in colour": [Image.fromarray(image).convert("RGB") for image in images],
        "files opened by PIL": tuple(map(Image.open, files)),
        "[N, H, W]": images,
        "[N, 1, H, W]": tensor[:, None],
        "[N, H, W, 1]": images[..., None],
        "[N, 3, H, W]": tensor[:, None].expand(-1, 3, -1, -1),
        "[N, H, W, 3]": np.repeat(images[..., None], 3, 3),
        "[N, H, W, 4]": np.concatenate([np.repeat(images[..., None], 3, 3), np.full((*images.shape, 1), 255, "u1")], 3),
        "whole numbers": images.astype(np.int64),
        "shares": images / 255,
        "shares as tensor": tensor.float()[:, None] / 255,
        "a list of arrays": list(images),
        "a list of tensors": list(tensor[:, None]),
        "a list of [H, W, 3]": [np.repeat(image[..., None], 3, 2) for image in images],
    }


def test_images_in_every_form_have_one_answer(bundles: Bundles, pixels: np.ndarray, tmp_path: Path) -> None:
    student = load_student(bundles("image").directory)
    expected = (student.logits(torch.from_numpy(pixels)[:, None]) / student.temperature).softmax(-1).numpy()
    for name, given in forms(pixels, tmp_path).items():
        found = student.predict(given)
        assert np.array_equal(found.iloc[:, 2:].to_numpy(), expected), name
        assert found["label"].tolist() == [student.classes[i] for i in expected.argmax(1)], name


def test_one_image_in_every_form_is_one_row(bundles: Bundles, pixels: np.ndarray, tmp_path: Path) -> None:
    student = load_student(bundles("image").directory)
    expected = student.predict(pixels).iloc[[2]].reset_index(drop=True)
    one, file = pixels[2], tmp_path / "2.png"
    Image.fromarray(one).save(file)
    coloured = np.repeat(one[..., None], 3, 2)
    for given in (file, str(file), Image.open(file), one, one[None], torch.from_numpy(one)[None, None], coloured):
        pd.testing.assert_frame_equal(student.predict(given).reset_index(drop=True), expected)


def test_predictions_have_one_form_everywhere(bundles: Bundles, pixels: np.ndarray, tmp_path: Path) -> None:
    directory, (file,) = bundles("image").directory, [tmp_path / "a.png"]
    Image.fromarray(pixels[0]).save(file)
    student = load_student(directory)
    found = student.predict([file])
    assert list(found) == ["label", "probability", *(f"probability of {name}" for name in student.classes)]
    assert found.index.tolist() == [str(file)] and student.predict(pixels).index.tolist() == [0, 1, 2, 3, 4]
    told = autokd.predict(directory, [file])
    assert told["input"].tolist() == [str(file)] and told.drop(columns="input").equals(found.reset_index(drop=True))
    assert autokd.predict(directory, pixels)["input"].tolist() == [0, 1, 2, 3, 4]


def test_other_sizes_are_resized_as_in_training(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (3, 10, 40, 3), dtype=np.uint8)
    for place, image in enumerate(wide):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    answers = []
    for rule in ("crop", "pad", "squash"):
        student = made_up(3, (8, 8), Reading(resize=rule))
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            expected = student.probabilities(tmp_path).to_numpy()
            from_files = caplog.messages
            caplog.clear()
            for given in (wide, list(wide), [Image.fromarray(image) for image in wide]):
                assert np.array_equal(student.probabilities(given).to_numpy(), expected)
        cut = ["the centre crop that the student was trained with cuts 75 % off 3 of 3 pictures"]
        assert (from_files, caplog.messages) == ((cut, 3 * cut) if rule == "crop" else ([], []))
        answers.append(expected)
    assert not np.allclose(answers[0], answers[1]) and not np.allclose(answers[1], answers[2])


def test_transparency_and_orientation_are_followed_as_in_files() -> None:
    ink = np.zeros((6, 6, 4), np.uint8)
    ink[1:3, 1:3, 3] = 255  # black ink on a transparent ground
    white = np.full((6, 6), 255, np.uint8)
    white[1:3, 1:3] = 0
    student = made_up(1, (6, 6))
    expected = student.probabilities(white).to_numpy()
    for given in (ink, ink[None], Image.fromarray(ink, "RGBA"), torch.from_numpy(ink)[None].permute(0, 3, 1, 2)):
        assert np.array_equal(student.probabilities(given).to_numpy(), expected)
    dark = made_up(1, (6, 6), Reading(ground="black")).preprocess
    assert not np.array_equal(Student(student.network, student.task, dark, student.device).probabilities(ink), expected)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3  # upside down
    Image.fromarray(white[::-1, ::-1]).save(file, "PNG", exif=exif)
    assert np.array_equal(student.probabilities(Image.open(file)).to_numpy(), expected)


def test_more_than_eight_bits_keep_the_range_of_training(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(500, 3000, (2, 6, 6), dtype=np.uint16)
    student = made_up(1, (6, 6), Reading(levels=(1000.0, 2000.0)))
    for place, image in enumerate(deep):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    expected = student.probabilities(tmp_path).to_numpy()
    for given in (deep, deep.astype(np.float32), torch.from_numpy(deep.astype(np.int32))):
        assert np.array_equal(student.probabilities(given).to_numpy(), expected)
    wrong: list[tuple[Any, str]] = [
        ((deep // 256).astype(np.uint8), "8 bits a level, and the other pictures have more: 1000 to 2000"),
        (deep / 65535, "levels up to 1, and the other pictures have 1000 to 2000"),
        (np.full((1, 6, 6), np.nan), "no finite numbers"),
        (Image.new("L", (6, 6)), "8 bits a level"),
    ]
    for bad, message in wrong:
        with pytest.raises(DataError, match=message):
            student.predict(bad)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 5, 8, 8), np.uint8), r"shape \(2, 5, 8, 8\); expected .* the student takes grey images of 8 × 8"),
        (np.zeros(8, np.uint8), r"shape \(8,\)"),
        (np.zeros((2, 1, 0, 8), np.uint8), r"shape \(2, 1, 0, 8\)"),
        (np.zeros((0, 8, 8), np.uint8), "no inputs are given"),
        ([], "no inputs are given"),
        (np.full((2, 8, 8), 256), "from 256 to 256; expected whole numbers in 0 to 255"),
        (np.full((2, 8, 8), -0.5), "not normalised"),
        (np.full((2, 8, 8), np.nan), "from nan to nan"),
        (np.array([["a"]]), "arrays or tensors of numbers, got an array of <U1"),
        ([np.zeros((8, 8)), "file.png"], "image 1: expected paths, PIL images, arrays or tensors, got a str"),
        ([np.zeros((4, 8, 8))], "image 0 of the list is 4 images"),
        (None, "expected paths, PIL images, arrays or tensors, got a NoneType"),
        (pd.DataFrame({"a": [1]}), "expected paths, PIL images, arrays or tensors, got a DataFrame"),
        ("nowhere.png", "nowhere.png: no such file"),
    ],
)
def test_what_is_no_image_is_one_clear_line(bundles: Bundles, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_student(bundles("image").directory).predict(given)
    assert "\n" not in str(caught.value)


def test_rows_in_every_form_have_one_answer(bundles: Bundles, rows: pd.DataFrame, tmp_path: Path) -> None:
    student = load_student(bundles("table").directory)
    expected = student.predict(rows)
    assert expected.index.tolist() == [10, 11, 12, 13]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    records = rows.to_dict("records")
    shuffled = rows[rows.columns[::-1]].rename(columns=lambda name: f" {name} ").assign(more="?")
    columns = rows.to_dict("list")
    for given in (tmp_path / "rows.csv", str(tmp_path / "rows.csv"), records, tuple(records), columns, shuffled,
                  rows.astype(str), [row for _, row in rows.iterrows()]):  # fmt: skip
        found = student.predict(given)
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    for one in (records[1], rows.iloc[1], rows.iloc[[1]]):
        pd.testing.assert_frame_equal(
            student.predict(one).reset_index(drop=True), expected.iloc[[1]].reset_index(drop=True)
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame(), "there is no column 'mean radius'"),
        (np.zeros((2, 30)), "an array does not name its columns; give a DataFrame: .* the 30 column.s. mean radius, "),
        ([1, 2], "expected a path, a DataFrame, a row as a dict or Series, or a list of such, got a list"),
        ([], "no inputs are given"),
        ({"mean radius": [1, 2], "mean texture": [1]}, "the table: All arrays must be of the same length"),
        (None, "got a NoneType"),
    ],
)
def test_what_is_no_table_is_one_clear_line(bundles: Bundles, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_student(bundles("table").directory).predict(given)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_in_a_table(bundles: Bundles, rows: pd.DataFrame) -> None:
    student = load_student(bundles("table").directory)
    for given, message in (
        (rows.drop(columns="mean area"), "the table: there is no column 'mean area'"),
        (rows.iloc[:0], "no inputs are given"),
        (
            rows.assign(**{"mean area": "wide"}),
            "'mean area': 'wide' in row 11 is not a number, as it was in training",
        ),
        (rows.assign(**{"mean area": np.inf}), "an infinite value in row 11"),
        (pd.concat([rows, rows[["mean area"]]], axis=1), "are the same name"),
    ):
        with pytest.raises(DataError, match=message):
            student.predict(given)
    assert len(student.predict(rows.assign(**{"mean area": "wide"}), skip_bad=True)) == 4


def rows_student(columns: dict[str, Any]) -> Student:
    """An untrained student for rows with these columns, of which one is fitted here."""
    from autokd.modalities.fitting import fit_columns

    fitted, _ = fit_columns(pd.DataFrame(columns))
    preprocess = TablePreprocess(classes=("a", "b"), columns=fitted)
    task = Task(dataset="made", modality="table", input_shape=preprocess.input_shape, classes=("a", "b"), train_size=9)
    with seeded(0):
        return Student(build_student(make("students", "mlp", {}), task), task, preprocess, torch.device("cpu"), "mlp")


def test_a_table_in_another_encoding(bundles: Bundles, rows: pd.DataFrame, tmp_path: Path) -> None:
    student = load_student(bundles("table").directory)
    text = "ёлка," + rows.to_csv(index=False).replace("\n", "\nдуб,", len(rows))
    (tmp_path / "new.csv").write_bytes(text.encode("gbk"))
    found = student.predict(tmp_path / "new.csv", encoding="gbk")
    assert found.to_numpy().tolist() == student.predict(rows).to_numpy().tolist()
    with pytest.raises(DataError, match="is not utf-8"):
        student.predict(tmp_path / "new.csv", encoding="utf-8")


def test_an_unknown_category_is_told() -> None:
    student = rows_student({"city": ["Basel", "Bern"] * 10, "age": [float(age) for age in range(1, 21)]})
    known = student.predict({"city": "Basel", "age": 3})
    assert not known.equals(student.predict({"city": "Bern", "age": 3}))
    with pytest.raises(
        DataError, match=r"'city': 'Chur' was never seen in training; known: Basel, Bern; with .*skip_bad=T"
    ):
        student.predict({"city": "Chur", "age": 3})
    assert len(student.predict({"city": "Chur", "age": 3}, skip_bad=True)) == 1


@pytest.mark.parametrize("pattern", ["%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d", "%d %b %Y"])
def test_dates_as_such_are_those_that_were_written_in_training(pattern: str) -> None:
    days = pd.Series(pd.date_range("2024-01-25", periods=20, freq="17D"))
    written = days.dt.strftime(pattern)
    student = rows_student({"day": written.tolist(), "age": [float(age) for age in range(20)]})
    assert student.input["columns"]["day"].startswith("date")
    expected = student.predict({"day": written, "age": range(20)})
    for given in (days, days.dt.date, days.dt.tz_localize("UTC"), days.astype(object)):
        pd.testing.assert_frame_equal(student.predict({"day": given, "age": range(20)}), expected)
    one = student.predict({"day": days[3].to_pydatetime(), "age": 3})
    pd.testing.assert_frame_equal(one.reset_index(drop=True), expected.iloc[[3]].reset_index(drop=True))
    gone = student.predict({"day": [days[3], pd.NaT, None], "age": [1, 2, 3]})
    assert len(gone) == 3 and not gone.iloc[0].equals(gone.iloc[1])


def test_an_array_is_for_a_student_that_learnt_from_one() -> None:
    student = rows_student({"x0": [1.0, 2.0, 3.0], "x2": [1.0, 5.0, 6.0]})  # x1 was constant
    rows = np.array([[1.0, 7.0, 5.0], [3.0, 7.0, 6.0]])
    expected = student.predict(pd.DataFrame({"x0": [1.0, 3.0], "x2": [5.0, 6.0]}))
    for given in (rows, torch.from_numpy(rows), rows.astype(np.float32)):
        pd.testing.assert_frame_equal(student.predict(given), expected)
    with pytest.raises(DataError, match=r"the array has 2 columns and lacks x2"):
        student.predict(rows[:, :2])
    with pytest.raises(DataError, match=r"shape \(3,\); expected rows"):
        student.predict(rows[0])


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_module_has_the_normalisation_inside(kind: str, bundles: Bundles, tmp_path: Path) -> None:
    made = bundles(kind)
    student = load_student(made.directory)
    stored, expected = made.data.validation.inputs, student.logits(made.data.validation.inputs)
    module = student.module
    assert module is student.module and not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    with torch.inference_mode():
        assert torch.equal(module(stored), expected)
        assert torch.equal(copy.deepcopy(module)(stored), expected)
        if kind == "image":
            assert isinstance(stored, torch.Tensor) and stored.dtype == torch.uint8
            assert torch.equal(module(stored.float() / 255), expected)
    torch.save(module, tmp_path / "module.pt")
    with torch.inference_mode():
        assert torch.equal(torch.load(tmp_path / "module.pt", weights_only=False)(stored), expected)


def test_a_student_says_what_it_is(bundles: Bundles) -> None:
    image, table = (load_student(bundles(kind).directory) for kind in ("image", "table"))
    assert repr(image) == "Student(cnn, 438 parameters: grey images of 8 × 8 pixels → 10 classes: 0, 1, 2, 3, 4, …)"
    assert image.input == {
        "kind": "image", "shape": (1, 8, 8), "form": "grey images of 8 × 8 pixels", "size": (8, 8), "channels": 1,
        "resize": "crop", "ground": "white", "levels": None, "encoding": None,
    }  # fmt: skip
    assert repr(table).startswith("Student(mlp, ") and repr(table).endswith(
        "parameters: tables with the 30 column(s) mean radius, mean texture, mean perimeter, mean area, "
        "mean smoothness, mean compactness, mean concavity, mean concave points, … → 2 classes: malignant, benign)"
    )
    assert table.input["columns"]["mean area"] == "number" and len(table.input["columns"]) == 30
    dated = rows_student({"born": ["2024-01-31", "2023-05-06", "2020-01-01"], "city": ["a", "b", "a"]})
    assert dated.input["columns"] == {"born": "date (ISO8601)", "city": "category: a, b"}


def test_a_kind_that_says_nothing_of_itself_is_described_by_its_shape(bundles: Bundles) -> None:
    student = made_up(3, (4, 6))
    task = dataclasses.replace(student.task, modality="image")
    assert "RGB images of 6 × 4 pixels" in repr(Student(student.network, task, student.preprocess, student.device))
