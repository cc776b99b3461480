"""Pictures in the cache: written as they are decoded, read as they are asked for, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from autokd.data_types import DataContext
from autokd.datasets import picture_cache
from autokd.datasets._image_folder import ImageFolder
from autokd.errors import DataError

Picture = NDArray[np.uint8]


def grey(level: int) -> Picture:
    return np.full((3, 4, 4), level, np.uint8)


def red(level: int) -> Picture:
    picture = grey(level)
    picture[1:] = 0
    return picture


@pytest.mark.parametrize(
    ("pictures", "channels"),
    [([grey(7), grey(9)], 1), ([red(7), grey(9)], 3), ([grey(7), grey(8), red(9), grey(1)], 3), ([red(7)], 3)],
)
def test_grey_until_there_is_colour(tmp_path: Path, pictures: list[Picture], channels: int) -> None:
    file = tmp_path / "images" / "a.safetensors"
    picture_cache.write(file, pictures, lambda: {"about": ["é", 1]})
    kept = picture_cache.find(file)
    assert kept is not None and kept.notes == {"about": ["é", 1]} and kept.source.shape == (channels, 4, 4)
    found = kept.source.read(torch.arange(len(pictures)))
    assert (found.numpy() == np.stack(pictures)[:, :channels]).all()
    assert torch.equal(load_file(file)["pixels"], found)  # a safetensors file like any other


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b"\xff" * 5000])
def test_a_damaged_file_is_none(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "a.safetensors"
    picture_cache.write(file, [grey(3)] * 5, dict)
    file.write_bytes(damage(file.read_bytes()))
    assert picture_cache.find(file) is None and picture_cache.find(tmp_path / "none") is None


def test_what_goes_wrong_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Picture:
        raise DataError("a bad picture")

    with pytest.raises(DataError, match="a bad picture"):
        picture_cache.write(tmp_path / "a.safetensors", (make() for make in (lambda: grey(1), failing)), dict)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    old, young, own = (tmp_path / f".a.safetensors.{pid}.tmp" for pid in (2**22 + 1, 2**22 + 2, os.getpid()))
    for path in (old, young, own):
        path.write_bytes(b"half")
    for path in (old, own):
        os.utime(path, (1, 1))
    picture_cache.write(tmp_path / "b.safetensors", [grey(1)], dict)
    assert not old.exists() and young.exists() and own.exists()


def folder_of(tmp_path: Path, count: int, side: int) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    return tmp_path / "set"


def test_a_full_disk_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = folder_of(tmp_path, 6, 16), tmp_path / "cache"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6 * 3 * 20 * 20))
    said = f"6 pictures of 32 × 32 pixels take 0.00 GB decoded, and {re.escape(str(cache))}/images has 0.00 GB free; "
    with pytest.raises(DataError, match=said + "set AUTOKD_CACHE to .*, or give --image-size 18$"):  # √(0.9 · 20²)
        ImageFolder(root=str(root)).build(DataContext(cache=cache, image_size=32))
    assert not cache.exists()
    ImageFolder(root=str(root)).build(DataContext(cache=cache, image_size=18))


def test_decoding_holds_a_few_pictures_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd.modalities.decoded_files._AHEAD_BYTES", 0)
    root, size = folder_of(tmp_path, 60, 64), 60 * 3 * 64**2
    tracemalloc.start()
    raw = ImageFolder(root=str(root)).build(DataContext(cache=tmp_path / "cache"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raw.train.inputs.shape == (60, 3, 64, 64) and peak < size / 2  # before: three times it
