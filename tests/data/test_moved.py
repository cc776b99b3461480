"""Data that lie elsewhere than a reference says, and references that can be taken along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autokd import data
from autokd.errors import DataError


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for i in range(24):
        path = tmp_path / "a" / "scans" / f"c{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 10 * i, np.uint8)).save(path)
    return tmp_path / "a" / "scans"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir(exist_ok=True)
    pd.DataFrame({"x": [i * 7 % 11 for i in range(40)], "y": ["p", "q"] * 20}).to_csv(tmp_path / "a" / "t.csv")
    return tmp_path / "a" / "t.csv"


@pytest.mark.parametrize("given", ["b", "b/scans"])
def test_a_folder_that_was_moved(tmp_path: Path, scans: Path, given: str) -> None:
    dataset = data.load(scans)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(DataError, match=r"a/scans: no such file or folder; if it was moved, say with --data-dir"):
        data.load_again(dataset.reference)
    assert data.load_again(dataset.reference, data_dir=tmp_path / given).task == dataset.task
    with pytest.raises(DataError, match="there is no scans in it"):
        data.load_again(dataset.reference, data_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("given", ["b", "b/t.csv", "."])
def test_a_table_that_was_moved(tmp_path: Path, table: Path, given: str) -> None:
    dataset = data.load(table, data.DataOptions(target="y", validation=table))
    (tmp_path / "a").rename(tmp_path / "b")
    if given == ".":
        (tmp_path / "b" / "t.csv").rename(tmp_path / "t.csv")
    assert data.load_again(dataset.reference, data_dir=tmp_path / given).task == dataset.task


def test_a_path_below_the_data_folder(tmp_path: Path, table: Path) -> None:
    given = data.DataOptions(target="y", data_dir=tmp_path)
    assert data.load("a/t.csv", given).task == data.load(table, data.DataOptions(target="y")).task


def test_paths_below_the_work_folder_are_written_as_seen_from_there(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = data.load(table, data.DataOptions(target="y")).reference
    monkeypatch.chdir(tmp_path)
    plain = data.relative(reference)
    assert plain is not None and plain["component"]["file"] == "a/t.csv"
    assert data.load_again(plain).reference == reference
    monkeypatch.chdir("/")
    anchored = data.anchored(plain, tmp_path / "studies" / "x" / "pipeline.yaml")
    assert data.load_again(anchored).reference == reference
    assert data.relative({"component": {"use": "digits"}, "seed": 0}) == {"component": {"use": "digits"}, "seed": 0}
    assert data.relative(None) is None


def test_a_class_whose_name_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    for i in range(24):
        path = tmp_path / "odd" / ("caf\udce9" if i % 2 else "b") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 10 * i, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"caf\\\\xe9' is not UTF-8; rename") as caught:
        data.load(tmp_path / "odd")
    str(caught.value).encode()
