"""The eight sets, made once from a folder of the original files and kept in the cache in one form."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from autokd.data.split import split, stratified_draw, take
from autokd.data_types import DataContext, Indices, Part, Raw
from autokd.datasets.vision import mnist
from autokd.files import cache_dir
from autokd.modalities import images, labels, tables
from autokd.seeds import derive
from benchmarks.by_hand.sets import SETS, TEST, VALIDATION, VALIDATION_SHARE, BenchmarkSet

SIDE = 16
"""Pixels."""
PARTS = ("train", "validation", "test")
ADULT = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "label",
)
"""Columns of Adult, whose files have no header."""


class Missing(Exception):
    """The original files of a set are not in the folder."""


def prepared(name: str, data: Path) -> Path:
    """Return the folder with the three parts of a set, made now where it is not there yet.

    Args:
      name: of the set.
      data: the folder of the original files, one folder a source.

    Raises:
      Missing: they are not there.
    """
    wanted = SETS[name]
    folder = cache_dir("by_hand") / f"{name}-{wanted.train}"
    if not (folder / "set.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        raw = READ[wanted.family](wanted, data)
        raw = _image_parts(raw, wanted) if wanted.kind == "image" else _table_parts(raw, wanted)
        for part in PARTS:
            _write(folder, part, getattr(raw, part), raw.classes)
        (folder / "set.json").write_text(json.dumps({"name": name, "classes": raw.classes}), encoding="utf-8")
    return folder


def published(name: str, data: Path) -> Raw:
    """Return the data that a set is made of, all of them, as they were published.

    Args:
      name: of the set.
      data: the folder of the original files.

    Raises:
      Missing: they are not there.
    """
    return READ[SETS[name].family](SETS[name], data)


def read(folder: Path) -> Raw:
    """Return a prepared set."""
    facts = json.loads((folder / "set.json").read_text(encoding="utf-8"))
    classes = tuple(facts["classes"])
    parts: dict[str, Any] = {part: _read_part(folder, part, classes) for part in PARTS}
    modality = "image" if isinstance(parts["train"].inputs, torch.Tensor) else "table"
    return Raw(name=facts["name"], modality=modality, classes=classes, **parts)


def _write(folder: Path, name: str, part: Part, classes: tuple[str, ...]) -> None:
    if isinstance(part.inputs, torch.Tensor):
        np.savez_compressed(folder / f"{name}.npz", inputs=part.inputs.numpy(), labels=part.labels)
    else:
        frame = part.inputs.assign(label=[classes[label] for label in part.labels])
        frame.to_csv(folder / f"{name}.csv", index=False)


def _read_part(folder: Path, name: str, classes: tuple[str, ...]) -> Part:
    if (folder / f"{name}.npz").is_file():
        found = np.load(folder / f"{name}.npz")
        return Part(torch.from_numpy(found["inputs"]), found["labels"])
    frame = tables.read_table(folder / f"{name}.csv")
    names = labels.class_names(frame["label"], name)
    return Part(frame.drop(columns=["label"]), labels.indices(names, classes, name))


def _image_parts(raw: Raw, wanted: BenchmarkSet) -> Raw:
    """Fixed, stratified draws: training and validation images from the official training part, test from its own."""
    count = max(VALIDATION, round(VALIDATION_SHARE * wanted.train))
    assert raw.test is not None
    drawn = take(raw.modality, raw.train, _draw(raw.train.labels, wanted.train + count, raw.classes, wanted.name))
    held = _draw(drawn.labels, count, raw.classes, "validation")
    parts = {
        "train": take(raw.modality, drawn, np.setdiff1d(np.arange(len(drawn)), held)),
        "validation": take(raw.modality, drawn, held),
        "test": _at_most(raw, raw.test, TEST),
    }
    small: dict[str, Any] = {name: _small(part) for name, part in parts.items()}
    return dataclasses.replace(raw, **small)


def _table_parts(raw: Raw, wanted: BenchmarkSet) -> Raw:
    """The rows that are wanted, split as the search would split them; every side and seed has the same parts."""
    parts = split(raw, seed=0)
    share = min(1.0, wanted.train / (len(parts.train) + len(parts.validation)))
    sizes = {"train": share * len(parts.train), "validation": share * len(parts.validation), "test": TEST}
    kept: dict[str, Any] = {name: _at_most(raw, getattr(parts, name), round(size)) for name, size in sizes.items()}
    return dataclasses.replace(raw, **kept)


def _at_most(raw: Raw, part: Part, count: int) -> Part:
    if len(part) <= count:
        return part
    return take(raw.modality, part, _draw(part.labels, count, raw.classes, "part"))


def _draw(labels: Indices, count: int, classes: tuple[str, ...], purpose: str) -> Indices:
    return stratified_draw(labels, count, len(classes), derive(0, "by hand", purpose))


def _small(part: Part) -> Part:
    assert isinstance(part.inputs, torch.Tensor)
    return dataclasses.replace(part, inputs=images.conform(part.inputs, (SIDE, SIDE), part.inputs.shape[1]))


def _fashion(wanted: BenchmarkSet, data: Path) -> Raw:
    folder = _there(data / "fashion_mnist")
    return mnist("FashionMNIST", "fashion_mnist", str(folder), DataContext(cache=cache_dir()))


def _cifar(wanted: BenchmarkSet, data: Path) -> Raw:
    """CIFAR-100 by its coarse classes, or every fifth of its fine ones."""
    folder = _cifar_folder(data)
    found = {name: pickle.loads((folder / name).read_bytes(), encoding="bytes") for name in ("train", "test", "meta")}
    coarse = wanted.name == "cifar-coarse"
    key, names = (b"coarse_labels", b"coarse_label_names") if coarse else (b"fine_labels", b"fine_label_names")
    kept = np.arange(20) if coarse else np.arange(0, 100, 5)
    train, test = (_cifar_part(found[name][b"data"], np.asarray(found[name][key]), kept) for name in ("train", "test"))
    classes = tuple(found["meta"][names][index].decode() for index in kept)
    return Raw(name=wanted.name, modality="image", classes=classes, train=train, test=test)


def _cifar_part(pixels: NDArray[np.uint8], labels: Indices, kept: Indices) -> Part:
    rows = np.flatnonzero(np.isin(labels, kept))
    chosen = torch.from_numpy(pixels[rows].reshape(-1, 3, 32, 32))
    return Part(chosen, np.searchsorted(kept, labels[rows]).astype(np.int64))


def _cifar_folder(data: Path) -> Path:
    """The folder of the published pickles, put together from the parts of the data folder where it holds those."""
    source = _there(data / "cifar100")
    if (source / "cifar-100-python").is_dir():
        return source / "cifar-100-python"
    target = cache_dir("by_hand") / "cifar-100-python"
    spec = importlib.util.spec_from_file_location("rebuild", _there(source / "rebuild.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        if not (target / name).is_file():
            (target / name).write_bytes(module.original(name))
    (target / "meta").write_bytes((source / "meta").read_bytes())
    return target


def _adult(wanted: BenchmarkSet, data: Path) -> Raw:
    parts = [
        pd.read_csv(_there(data / "adult" / f"adult-{part}.csv"), header=None, names=list(ADULT), skipinitialspace=True)
        for part in ("train", "test")
    ]
    return _table(wanted.name, *(part.assign(label=part["label"].str.rstrip(".")) for part in parts))


def _letter(wanted: BenchmarkSet, data: Path) -> Raw:
    """The usual split: the first 16,000 rows train."""
    frame = pd.read_csv(_there(data / "letter" / "letter-recognition.data")).rename(columns={"lettre": "label"})
    return _table(wanted.name, frame.iloc[:16_000], frame.iloc[16_000:])


def _telco(wanted: BenchmarkSet, data: Path) -> Raw:
    frame = pd.read_csv(_there(data / "telco_churn" / "Telco-Customer-Churn.csv"), na_values=" ")
    return _table(wanted.name, frame.drop(columns=["customerID"]).rename(columns={"Churn": "label"}))


def _crop(wanted: BenchmarkSet, data: Path) -> Raw:
    """UCR's Crop, each time step a column."""
    train = np.loadtxt(_there(data / "ucr" / "Crop" / "Crop_TRAIN.tsv"))
    test = np.load(_there(data / "ucr" / "Crop" / "Crop_TEST.npy"))
    return _table(wanted.name, _series(train), _series(test))


def _series(rows: NDArray[np.float64]) -> pd.DataFrame:
    frame = pd.DataFrame(rows[:, 1:], columns=[f"t{step}" for step in range(rows.shape[1] - 1)])
    return frame.assign(label=[f"c{label:02.0f}" for label in rows[:, 0]])


def _table(name: str, train: pd.DataFrame, test: pd.DataFrame | None = None) -> Raw:
    classes = labels.in_order(labels.class_names(train["label"], name))
    parts = [
        None
        if frame is None
        else Part(
            frame.drop(columns=["label"]).reset_index(drop=True),
            labels.indices(labels.class_names(frame["label"], name), classes, name),
        )
        for frame in (train, test)
    ]
    assert parts[0] is not None
    return Raw(name=name, modality="table", classes=classes, train=parts[0], test=parts[1])


def _there(path: Path) -> Path:
    if not path.exists():
        raise Missing(f"{path} is not there")
    return path


READ: dict[str, Callable[[BenchmarkSet, Path], Raw]] = {
    "fashion_mnist": _fashion,
    "cifar100": _cifar,
    "letter": _letter,
    "adult": _adult,
    "telco": _telco,
    "crop": _crop,
}
