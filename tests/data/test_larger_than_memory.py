"""Pictures that do not fit into memory are read from the cache: the same values, the same training."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from autokd import batching, data, lazy
from autokd.data import DataOptions
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.free_memory import VARIABLE
from autokd.modalities import decoding
from autokd.spec import from_plain
from autokd.types import Checkpoint, RungResult

PIPELINE = {
    "format": 1,
    "student": {"use": "cnn", "layers": 1, "width": 4},
    "augment": {"use": "mixup"},
    "losses": {"ce": {"use": "ce", "weight": 1.0}},
    "optimizer": {"use": "sgd", "learning_rate": 0.05},
    "schedule": {"use": "cosine"},
    "batch_size": 16,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "cache"))
    levels = np.random.default_rng(0).integers(0, 200, (60, 16, 16, 3), dtype=np.uint8)
    for i, pixels in enumerate(levels):
        file = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels + np.uint8(50 * (i % 2))).save(file)
    return tmp_path / "set"


def trained(dataset: data.Dataset) -> tuple[RungResult, Checkpoint]:
    context = TrainContext(data=dataset, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
    size = 2 * len(dataset.train)
    return train_rung(context, from_plain(PIPELINE), Rung(seed=1, view_seed=2, horizon=size, until=size))


def test_same_values_and_same_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = data.load(folder)
    monkeypatch.setenv(VARIABLE, "1MB")
    monkeypatch.setattr(lazy, "PIECE", 5 * 3 * 16 * 16)
    caplog.clear()
    read = data.load(folder)
    assert "they are read from the cache as they are needed" in caplog.text
    assert batching.is_lazy(read.train.inputs) and not batching.is_lazy(held.train.inputs)
    assert read.task == held.task and read.card == held.card and read.preprocess == held.preprocess
    for one, other in (
        (read.train, held.train),
        (read.validation, held.validation),
        (read.read_test(), held.read_test()),
    ):
        assert torch.equal(batching.single(one.inputs), batching.single(other.inputs))
        assert torch.equal(one.labels, other.labels)
    (first, before), (second, after) = trained(held), trained(read)
    assert [{**row, "seconds": 0} for row in first.curve] == [{**row, "seconds": 0} for row in second.curve]
    assert first.score == second.score and first.loss == second.loss
    assert all(torch.equal(before["student"][name], after["student"][name]) for name in before["student"])


def test_a_dry_load_decodes_a_sample_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autokd.datasets.pictures._LOOKED_AT", 5)
    monkeypatch.setattr(importlib.import_module("autokd.data.load"), "_SAMPLE", 7)
    opened: list[Path] = []
    decode = decoding.decode

    def counted(path: Path, *how: Any) -> Any:
        opened.append(path)
        return decode(path, *how)

    monkeypatch.setattr(decoding, "decode", counted)
    dry = data.load(folder, DataOptions(image_size=12), dry=True)
    assert len(opened) < 20 and dry.task.fingerprint == ""
    assert not list((tmp_path / "cache").rglob("*"))
    whole = data.load(folder, DataOptions(image_size=12))
    assert dry.card["samples"] == whole.card["samples"] and dry.task.input_shape == whole.task.input_shape
    assert dry.task.classes == whole.task.classes and dry.class_counts == whole.class_counts
    assert torch.equal(
        batching.single(batching.take(dry.train.inputs, slice(3))), batching.single(whole.train.inputs)[:3]
    )
    assert abs(dry.task.mean[0] - whole.task.mean[0]) < 0.05
    again = data.load(folder, DataOptions(image_size=12), dry=True)  # what is in the cache is used
    assert again.task == whole.task
