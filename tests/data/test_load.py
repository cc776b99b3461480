"""`load`: what a reference may be, what comes back, and that it comes back again."""

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
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset, TensorDataset

from autokd import data
from autokd.batching import single
from autokd.datasets import arrays
from autokd.errors import DataError
from tests import processes


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """200 images [N, 8, 8] uint8 and their labels."""
    source = load_digits()
    return np.rint(source.images[:200] * (255 / 16)).astype(np.uint8), source.target[:200]


def test_digits() -> None:
    dataset = data.load("digits")
    assert dataset.task.dataset == "digits" and dataset.task.modality == "image"
    assert dataset.task.input_shape == (1, 8, 8) and dataset.task.num_classes == 10
    assert dataset.card["samples"] == {"train": 1150, "validation": 288, "test": 359}
    assert dataset.task.train_size == len(dataset.train) == 1150 and len(dataset.read_test()) == 359
    assert single(dataset.train.inputs).dtype == torch.uint8 and dataset.train.labels.dtype == torch.int64
    assert dataset.default_space == "digits"
    assert dataset.card["official"] == {"validation": False, "test": False}
    assert dataset.card["also_in_train"] == {"validation": 0, "test": 0}


def test_table() -> None:
    dataset = data.load("breast_cancer")
    assert dataset.task.modality == "table" and dataset.task.input_shape == (30,) and dataset.task.mean == ()
    assert dataset.task.classes == ("malignant", "benign") and dataset.default_space == "tabular"
    assert single(dataset.train.inputs).mean(0).abs().max() < 1e-5
    assert (single(dataset.train.inputs).std(0, correction=0) - 1).abs().max() < 1e-5


def test_test_split_has_one_way_to_it() -> None:
    dataset = data.load("wine")
    test = {row.numpy().tobytes() for row in single(dataset.read_test().inputs)}
    public = [value for name, value in vars(dataset).items() if not name.startswith("_")]
    assert not any(value is dataset.read_test() for value in public)
    assert not test & {
        row.numpy().tobytes() for row in torch.cat([single(dataset.train.inputs), single(dataset.validation.inputs)])
    }
    assert "_test" not in repr(dataset)


@pytest.mark.parametrize(
    ("reference", "options"),
    [("digits", {}), ("wine", {"seed": 3}), ("digits", {"image_size": 6, "limit_train": 50})],
)
def test_load_again(reference: str, options: dict[str, int]) -> None:
    dataset = data.load(reference, data.DataOptions(**options))  # type: ignore[arg-type]
    again = data.load_again(json.loads(json.dumps(dataset.reference)))
    assert again.task == dataset.task and again.reference == dataset.reference
    assert torch.equal(single(again.read_test().inputs), single(dataset.read_test().inputs))


def test_reference_is_short() -> None:
    assert data.load("digits").reference == {"component": {"use": "digits"}, "seed": 0}
    with pytest.raises(DataError, match="a dataset reference has the keys component"):
        data.load_again({"component": {"use": "digits"}, "sed": 0})


def test_fingerprint_names_data_split_and_preprocessing(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    changed = images.copy()
    changed[-1, 0, 0] ^= 1
    variants = [
        data.load((images, labels)),
        data.load((images, labels), data.DataOptions(seed=1)),
        data.load((images, labels), data.DataOptions(image_size=7)),
        data.load((changed, labels)),
        data.load((images, np.array([f"c{label}" for label in labels]))),
    ]
    assert len({dataset.task.fingerprint for dataset in variants}) == 5


def test_fingerprint_is_the_same_in_another_process(tmp_path: Path) -> None:
    code = "from autokd import data; print(*[data.load(name).task.fingerprint for name in ('digits', 'wine')])"
    theirs = processes.run(code, folder=tmp_path).said.split()
    assert theirs == [data.load(name).task.fingerprint for name in ("digits", "wine")]


def test_global_random_state_is_untouched() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
    data.load("digits", data.DataOptions(limit_train=100))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state(legacy=False)) == str(numpy_state)  # noqa: NPY002


def test_duplicates_across_splits_are_counted(
    digits: tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    images, labels = digits
    dataset = data.load((np.concatenate([images] * 4), np.concatenate([labels] * 4)))
    train = {row.numpy().tobytes() for row in single(dataset.train.inputs)}
    expected = sum(row.numpy().tobytes() in train for row in single(dataset.validation.inputs))
    assert dataset.card["also_in_train"]["validation"] == expected > 100
    assert "validation samples are also in the training split" in caplog.text


@pytest.mark.parametrize("form", ["uint8", "float", "channels", "channels last", "tensor", "colour"])
def test_arrays_of_images(form: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    inputs: dict[str, Any] = {
        "uint8": images,
        "float": images / 255,
        "channels": images[:, None],
        "channels last": images[..., None],
        "tensor": torch.from_numpy(images),
        "colour": np.repeat(images[..., None], 3, axis=3),
    }
    dataset = data.load((inputs[form], labels))
    assert dataset.task.input_shape == ((3 if form == "colour" else 1), 8, 8)
    everything = torch.cat(
        [single(dataset.train.inputs), single(dataset.validation.inputs), single(dataset.read_test().inputs)]
    )
    assert sorted(row[0].numpy().tobytes() for row in everything) == sorted(image.tobytes() for image in images)
    assert dataset.task.classes == tuple("0123456789") and dataset.default_space == "image"
    assert data.load_again(dataset.reference).task == dataset.task


def test_arrays_are_kept_once_by_content(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    first, second = data.load((images, labels)), data.load((images.copy(), list(labels)))
    assert first.reference == second.reference and set(first.reference["component"]) == {"use", "fingerprint"}
    gone = {"component": {"use": "arrays", "fingerprint": "0" * 16}, "seed": 0}
    with pytest.raises(DataError, match="no longer in the cache"):
        data.load_again(gone)


def test_arrays_of_a_table() -> None:
    source = load_wine(as_frame=True)
    plain = data.load((source.data.to_numpy(), source.target))
    assert plain.task.input_shape == (13,) and plain.task.classes == ("0", "1", "2")
    assert torch.equal(single(plain.train.inputs), single(data.load("wine").train.inputs))
    mixed = source.data.assign(
        colour=(source.data["hue"] > 1).map({True: "deep", False: None}), label=1.0 * (source.target == 0)
    )
    frame = data.load((mixed, source.target.map({0: "a", 1: "b", 2: "c"})))
    # 13 numbers, the column that is called label, one colour and missing
    assert frame.task.input_shape == (16,) and frame.task.classes == ("a", "b", "c")
    assert data.load_again(frame.reference).task == frame.task


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(0.0, 0)])


class Pictures(TorchDataset[Any]):
    """Pictures with class names that are not in alphabetical order."""

    classes = ("zebra", "ant")

    def __init__(self, side_of_last: int = 8) -> None:
        self.side_of_last = side_of_last

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        side = self.side_of_last if index == 29 else 8
        return Image.new("RGB", (side, side), (index, 2, 3)), index % 2


def test_torch_dataset_keeps_the_order_of_its_classes() -> None:
    dataset = data.load(Pictures())
    assert dataset.task.classes == ("zebra", "ant") and dataset.task.input_shape == (3, 8, 8)
    assert (single(dataset.train.inputs)[:, 0, 0, 0] % 2 == dataset.train.labels).all()


def test_torch_dataset_of_rows() -> None:
    source = load_wine()
    dataset = data.load(TensorDataset(torch.from_numpy(source.data), torch.from_numpy(source.target)))
    assert torch.equal(single(dataset.train.inputs), single(data.load("wine").train.inputs))


def test_torch_datasets_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="several shapes"):
        data.load(Pictures(side_of_last=9))
    with pytest.raises(DataError, match="pairs"):
        data.load(TensorDataset(torch.zeros(4, 2)))
    with pytest.raises(DataError, match="map-style"):
        data.load(Stream())


def test_arrays_that_cannot_be_used(tmp_path: Path) -> None:
    two = [0, 1]
    for inputs, labels, message in [
        (np.zeros((3, 8, 8), np.uint8), two, "X has 3 samples and y has 2"),
        (np.zeros((2, 5, 8, 8), np.uint8), two, r"shape \(2, 5, 8, 8\)"),
        (np.array([[[-2.0]], [[1.0]]]), two, "from -2 to 1; expected"),
        (np.full((2, 4, 4), np.nan), two, "from nan to nan"),
        (np.zeros((2, 4, 4), np.int64) + 300, two, "from 300 to 300"),
    ]:
        with pytest.raises(DataError, match=message):
            arrays.from_arrays(inputs, labels, tmp_path)
    assert not list(tmp_path.iterdir())


def test_references_that_mean_nothing(tmp_path: Path) -> None:
    for reference, message in [
        ("digts", "did you mean 'digits'"),
        ("image_folder", "'image_folder' is no dataset, file or folder"),  # a component, but nothing without its folder
        (7, "got int"),
        (tmp_path, "no image"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            data.load(reference)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="or a table file; target does not apply to digits, only to an image table or"):
        data.load("digits", data.DataOptions(target="y", group="g"))
    with pytest.raises(DataError, match="target does not apply to data given in Python"):
        data.load((np.zeros((2, 2)), [0, 1]), data.DataOptions(target="y"))
    with pytest.raises(DataError, match="image_size does not apply to wine"):
        data.load("wine", data.DataOptions(image_size=8))


def test_data_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKD_DATA", str(tmp_path / "here"))
    with pytest.raises(DataError, match="here/cifar-10-batches-py"):
        data.load("cifar10")
    with pytest.raises(DataError, match="there/cifar-10-batches-py"):
        data.load("cifar10", data.DataOptions(data_dir=tmp_path / "there"))
    with pytest.raises(DataError, match="moved/cifar-10-batches-py"):
        data.load_again({"component": {"use": "cifar10", "data_dir": "/old"}}, data_dir=tmp_path / "moved")
    assert "data_dir" not in data.load("digits").reference["component"]


def test_read_inputs_of_tables(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(30), "c": ["red", "blue", "red"] * 10, "y": ["p", "q"] * 15})
    frame.to_csv(tmp_path / "a.csv", index=False)
    preprocess = data.load(tmp_path / "a.csv", data.DataOptions(target="y")).preprocess
    frame.drop(columns="y").head(2).to_csv(tmp_path / "new.csv", index=False)
    raw = data.read_inputs(preprocess, [tmp_path / "new.csv", tmp_path / "new.csv"])
    assert raw.names == tuple(f"{tmp_path / 'new.csv'}:{row}" for row in (1, 2, 1, 2))
    assert single(preprocess.apply(raw.inputs))[:, 1:].tolist() == [[0, 1], [1, 0]] * 2
    frame.assign(c="green").to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(DataError, match="column 'c': 'green' was never seen in training; known: blue, red"):
        data.read_inputs(preprocess, [tmp_path / "odd.csv"])
    lenient = data.read_inputs(preprocess, [tmp_path / "odd.csv"], skip_bad=True)
    assert single(preprocess.apply(lenient.inputs))[:, 1:].sum() == 0
    with pytest.raises(DataError, match="gone: no such file"):
        data.read_inputs(preprocess, [tmp_path / "gone"])
    with pytest.raises(DataError, match="no inputs"):
        data.read_inputs(preprocess, [])


def test_read_inputs_of_images(tmp_path: Path) -> None:
    preprocess = data.load("digits").preprocess
    Image.new("RGB", (20, 30), (9, 9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b\.png: not a readable image"):
        data.read_inputs(preprocess, [tmp_path])
    raw = data.read_inputs(preprocess, [tmp_path], skip_bad=True)
    assert raw.names == (str(tmp_path / "a.png"),) and raw.skipped == (str(tmp_path / "b.png"),)
    assert single(preprocess.apply(raw.inputs)).shape == (1, 1, 8, 8) and (raw.inputs == 9).all()
