"""Samples without labels: read as the dataset's own are, less copies of held-out ones, and part of its fingerprint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from autokd import data
from autokd.batching import is_lazy, single
from autokd.data import DataOptions, Dataset
from autokd.errors import DataError


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with few.csv, and rest.csv without labels: 30 rows that are in few.csv too, and 170 others."""
    folder, source = tmp_path_factory.mktemp("table"), load_digits()
    frame = pd.DataFrame(source.data[:, 10:30], columns=[f"x{at}" for at in range(20)]).assign(shade="dark")
    frame.loc[::3, "shade"] = "light"
    frame.assign(digit=source.target)[:150].to_csv(folder / "few.csv", index=False)
    frame.assign(digit="?", note=1)[120:320].to_csv(folder / "rest.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder few with 10 classes of pictures, and a folder rest with others, some of them below it."""
    folder, source = tmp_path_factory.mktemp("pictures"), load_digits()
    for at, (image, label) in enumerate(zip(source.images[:220], source.target, strict=False)):
        place = folder / f"few/{label}" if at < 120 else folder / "rest" if at < 170 else folder / "rest/more"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(place / f"{at:03}.png")
    return folder


def of_table(folder: Path, **options: object) -> Dataset:
    asked = DataOptions(target="digit", unlabelled=folder / "rest.csv")
    return data.load(folder / "few.csv", dataclasses.replace(asked, **options))  # type: ignore[arg-type]


def test_rows_of_a_table(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_rest, alone = of_table(table), of_table(table, unlabelled=None)
    assert "'digit', 'note' is no feature of the data, and is not looked at" in caplog.text
    assert with_rest.unlabelled is not None and with_rest.unlabelled.labelled is not None
    held_out = torch.cat([single(with_rest.validation.inputs), single(with_rest.read_test().inputs)])
    rows = {row.numpy().tobytes() for row in single(with_rest.unlabelled.inputs)}
    assert not rows & {row.numpy().tobytes() for row in held_out}
    left_out = with_rest.card["unlabelled"]["also_held_out"]
    assert 0 < left_out <= 30 and len(with_rest.unlabelled) == 200 - left_out == with_rest.task.unlabelled
    assert not with_rest.unlabelled.labelled.any()
    assert torch.equal(single(with_rest.train.inputs), single(alone.train.inputs))  # nothing was fitted on them
    assert with_rest.preprocess.to_json() == alone.preprocess.to_json()


def test_they_are_part_of_the_fingerprint_and_come_back_with_the_reference(table: Path, tmp_path: Path) -> None:
    with_rest, alone = of_table(table), of_table(table, unlabelled=None)
    assert with_rest.task.fingerprint != alone.task.fingerprint == with_rest.labelled_alone.task.fingerprint
    assert with_rest.labelled_alone.task == alone.task and alone.labelled_alone is alone
    assert data.load_again(with_rest.reference).task == with_rest.task
    for name in ("few.csv", "rest.csv"):
        (tmp_path / name).write_bytes((table / name).read_bytes())
    moved = {**with_rest.reference, "unlabelled": "/gone/rest.csv"}
    assert data.load_again(moved, data_dir=tmp_path).task == with_rest.task
    with pytest.raises(DataError, match="--data-dir where it is now"):
        data.load_again(moved)
    (tmp_path / "rest.csv").write_text((tmp_path / "rest.csv").read_text().replace("dark", "light", 1))
    assert data.load_again(moved, data_dir=tmp_path).task.fingerprint != with_rest.task.fingerprint


def test_a_teacher_finds_them_among_the_samples(table: Path) -> None:
    """Rows as their file has them, after those of the splits; a cell that was never seen is no error."""
    frame = pd.read_csv(table / "rest.csv").assign(shade="grey")
    found = data.load(table / "few.csv", DataOptions(target="digit", unlabelled=frame))
    assert found.unlabelled is not None and found.unlabelled.ids is not None and found.samples.table is not None
    rows = found.samples.table()
    assert len(rows) == 150 + len(found.unlabelled) and found.samples.total == 350
    assert rows["shade"].iloc[found.unlabelled.ids.tolist()].eq("grey").all()
    assert found.unlabelled.ids.tolist() == list(range(150, 150 + len(found.unlabelled)))


def test_rows_without_a_label_in_the_table_itself(
    table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame, file = pd.read_csv(table / "few.csv", dtype=str), tmp_path / "some.csv"
    frame.loc[1::3, "digit"] = ""
    frame.to_csv(file, index=False)
    frame[frame["digit"] != ""].to_csv(tmp_path / "labelled.csv", index=False)
    with pytest.raises(DataError, match=r"50 row\(s\) have no label, .* on them, give this table"):
        data.load(file, DataOptions(target="digit"))
    found = data.load(file, DataOptions(target="digit", unlabelled=file))
    assert "50 of 150 rows have no label, and are distilled on" in caplog.text
    alone = data.load(tmp_path / "labelled.csv", DataOptions(target="digit"))
    assert found.labelled_alone.task.fingerprint == alone.task.fingerprint and found.task.unlabelled == 50
    assert found.unlabelled is not None
    numbers = np.array(found.samples.numbers)  # of a teacher's file of predictions: the order of the table
    assert found.samples.total == 150 and numbers[-50:].tolist() == list(range(1, 150, 3))
    assert found.samples.table is not None and (numbers[:-50] % 3 != 1).all()
    values = pd.read_csv(file).iloc[numbers]["x3"].to_numpy()
    assert (found.samples.table()["x3"].astype(float).to_numpy() == values).all()
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/some.csv").write_bytes(file.read_bytes())
    assert data.load_again(found.reference, data_dir=tmp_path / "moved").task == found.task
    with pytest.raises(DataError, match="all of its rows have a label"):
        of_table(table, unlabelled=table / "few.csv")


def test_pictures_of_a_folder_with_folders_in_it(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = DataOptions(unlabelled=pictures / "rest")
    found = data.load(pictures / "few", options)
    assert found.unlabelled is not None and found.task.unlabelled == 100
    assert single(found.unlabelled.inputs).shape == (100, 1, 8, 8) and found.samples.names is not None
    first = np.asarray(Image.open(pictures / "rest/120.png"))
    assert (single(found.unlabelled.inputs)[0, 0].numpy() == first).all()
    assert data.load_again(found.reference).task == found.task
    looked_at = data.load(pictures / "few", options, dry=True)
    assert looked_at.unlabelled is not None and len(looked_at.unlabelled) == 100
    (pictures / "rest/broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        data.load(pictures / "few", options)
    skipped = data.load(pictures / "few", DataOptions(unlabelled=pictures / "rest", skip_bad=True))
    assert skipped.task.unlabelled == 100 and "1 unreadable file(s) without labels left out" in caplog.text


def test_a_teacher_sees_them_as_large_as_the_others(pictures: Path) -> None:
    from autokd.data import finer_split

    options = DataOptions(unlabelled=pictures / "rest/more", image_size=4)
    found = data.load(pictures / "few", options)
    assert found.unlabelled is not None
    finer = finer_split(found, found.unlabelled, 8).finer
    assert finer is not None and is_lazy(finer) and single(finer).shape == (50, 1, 8, 8)
    assert (single(finer)[0, 0].numpy() == np.asarray(Image.open(pictures / "rest/more/170.png"))).all()


def test_what_cannot_be_used(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: no such file or folder"):
        of_table(table, unlabelled=tmp_path / "gone")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="there is no column 'x"):
        of_table(table, unlabelled=tmp_path / "other.csv")
    (tmp_path / "held.csv").write_bytes((table / "few.csv").read_bytes())
    with pytest.raises(DataError, match="all 150 samples without labels are also in validation or test"):
        of_table(table, unlabelled=tmp_path / "held.csv", validation=table / "few.csv")
    with pytest.raises(DataError, match="no picture lies there"):
        data.load("digits", DataOptions(unlabelled=tmp_path))
