"""Every dataset that needs no files, and those read from torchvision's file formats."""

from __future__ import annotations

import gzip
import hashlib
import runpy
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from autokd import catalog, compat, data
from autokd.data_types import DataContext
from autokd.datasets._cifar100 import Cifar100
from autokd.datasets._digits import Digits
from autokd.datasets._fashion_mnist import FashionMnist
from autokd.errors import DataError
from autokd.files import cache_dir
from autokd.spec import component_from_plain, component_to_plain, make

EMBEDDED = {"digits": (1797, 10), "breast_cancer": (569, 2), "wine": (178, 3)}


@pytest.fixture
def context(tmp_path: Path) -> DataContext:
    return DataContext(cache=tmp_path / "cache")


def test_every_component_says_what_it_is() -> None:
    names = catalog.names("datasets")
    assert {"digits", "fashion_mnist", "mnist", "cifar10", "cifar100", "image_folder", "table_file"} <= set(names)
    for name in names:
        cls = catalog.load("datasets", name)
        assert cls.declares.modality in ("image", "table"), name
        assert cls.declares.default_space in ("", "digits"), name
        assert cls.__doc__, name


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_embedded_dataset(name: str, context: DataContext) -> None:
    component = make("datasets", name, {})
    raw = component.build(context)
    assert (len(raw.train), len(raw.classes)) == EMBEDDED[name]
    assert raw.modality == component.declares.modality
    assert sorted(set(raw.train.labels.tolist())) == list(range(len(raw.classes)))
    assert component_from_plain("datasets", component_to_plain(component)) == component


def test_digits_keeps_every_grey_level_apart(context: DataContext) -> None:
    images = Digits().build(context).train.inputs
    assert isinstance(images, torch.Tensor)
    assert images.dtype == torch.uint8 and tuple(images.shape) == (1797, 1, 8, 8)
    back = np.rint(images[:, 0].numpy() / 255 * 16)
    assert (back == load_digits().images).all()
    assert images.max() == 255


@pytest.mark.parametrize("folder", ["fashion_mnist", "."])
def test_fashion_mnist_from_packed_files(shared_data: Path, folder: str) -> None:
    raw = FashionMnist(data_dir=str(shared_data / folder)).build(DataContext(cache=cache_dir()))
    assert raw.test is not None
    assert tuple(raw.train.inputs.shape) == (60000, 1, 28, 28) and tuple(raw.test.inputs.shape) == (10000, 1, 28, 28)
    assert raw.classes[9] == "Ankle boot" and raw.train.labels[0] == 9  # the published first training image is a boot
    packed = next(shared_data.rglob("t10k-images-idx3-ubyte.gz"))
    pixels = np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=16)
    assert isinstance(raw.test.inputs, torch.Tensor) and (raw.test.inputs.numpy().reshape(-1) == pixels).all()


def _write_mnist(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a tiny MNIST in the original packed format, and publish its md5s."""
    folder.mkdir(parents=True)
    resources = []
    for prefix, count in (("train", 4), ("t10k", 2)):
        pixels = np.arange(count * 784).astype(np.uint8).tobytes()
        content = {
            f"{prefix}-images-idx3-ubyte.gz": struct.pack(">4i", 2051, count, 28, 28) + pixels,
            f"{prefix}-labels-idx1-ubyte.gz": struct.pack(">2i", 2049, count) + bytes(range(count)),
        }
        for name, raw in content.items():
            (folder / name).write_bytes(gzip.compress(raw))
            resources.append((name, hashlib.md5((folder / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(compat.torchvision().datasets.MNIST, "resources", resources)


def test_mnist_packed_files_are_checked(tmp_path: Path, context: DataContext, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_mnist(tmp_path / "MNIST" / "raw", monkeypatch)
    component = make("datasets", "mnist", {"data_dir": str(tmp_path)})
    raw = component.build(context)
    assert raw.train.labels.tolist() == [0, 1, 2, 3] and raw.test is not None and len(raw.test) == 2
    assert not list(tmp_path.glob("MNIST/raw/*-ubyte"))  # unpacked into the cache, not beside the files
    damaged = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: damaged"):
        component.build(DataContext(cache=tmp_path / "another"))


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("mnist", "t10k-images-idx3-ubyte.gz", "MNIST/raw"),
        ("fashion_mnist", "train-labels-idx1-ubyte.gz", "FashionMNIST/raw"),
        ("cifar10", "data_batch_5", "cifar-10-batches-py"),
        ("cifar100", "meta", "cifar-100-python"),
    ],
)
def test_missing_files_are_named_with_their_place(
    name: str, file: str, folder: str, tmp_path: Path, context: DataContext
) -> None:
    with pytest.raises(DataError) as caught:
        make("datasets", name, {"data_dir": str(tmp_path)}).build(context)
    message = str(caught.value)
    assert file in message and str(tmp_path / folder) in message and "--download" in message and "\n" not in message


def test_damaged_cifar_is_refused(tmp_path: Path, context: DataContext) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not the published bytes")
    with pytest.raises(DataError, match="missing, incomplete or damaged"):
        Cifar100(data_dir=str(tmp_path)).build(context)


@pytest.mark.slow
def test_cifar100_from_its_own_format(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published test batch, which is the training batch, too: that one is five times as large."""
    packed = shared_data / "cifar100"
    batch = runpy.run_path(str(packed / "rebuild.py"))["original"]("test")
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test"):
        (tmp_path / "cifar-100-python" / name).write_bytes(batch)
    shutil.copy(packed / "meta", tmp_path / "cifar-100-python")
    published = compat.torchvision().datasets.CIFAR100
    monkeypatch.setattr(published, "train_list", [["train", published.test_list[0][1]]])
    dataset = data.load("cifar100", data.DataOptions(data_dir=tmp_path, limit_train=1000))
    assert dataset.card["samples"] == {"train": 1000, "validation": 2000, "test": 10000}
    assert dataset.task.input_shape == (3, 32, 32) and dataset.task.classes[0] == "apple"
    assert dataset.card["class_counts"]["validation"] == [20] * 100
    assert dataset.read_test().labels[:3].tolist() == [49, 33, 72]  # the published order
