"""Tables that name picture files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from autokd import data
from autokd.datasets import places
from autokd.errors import DataError
from tests.datasets.helpers import write_noise


def listed(root: Path, **columns: list[str]) -> Path:
    """Write 40 pictures, half of them of class a, and the table that names them."""
    write_noise(root, ("pics",), each=40)
    frame = pd.DataFrame({"file": [f"pics/{i}.png" for i in range(40)], "kind": ["a", "b"] * 20, **columns})
    frame.to_csv(root / "list.csv", index=False)
    return root / "list.csv"


def test_paths_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = listed(tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    assert places.dataset_at(file) == ("image_table", "file")
    dataset = data.load("there/list.csv")
    assert dataset.task.classes == ("a", "b") and dataset.task.modality == "image"
    assert dataset.card["samples"] == {"train": 26, "validation": 6, "test": 8} and dataset.card["remarks"] == []
    assert data.load_again(dataset.reference).task == dataset.task
    pd.read_csv(file).to_parquet(tmp_path / "there" / "list.parquet")
    assert data.load("there/list.parquet").task.fingerprint == dataset.task.fingerprint


def test_a_list_in_an_encoding_that_is_named(tmp_path: Path) -> None:
    names = [f"фото{i}.png" for i in range(20)]
    for at, name in enumerate(names):
        Image.new("L", (8, 8), 10 * at).save(tmp_path / name)
    rows = [f"{name},{'ёлка' if at % 2 else 'дуб'}" for at, name in enumerate(names)]
    file = tmp_path / "list.csv"
    file.write_bytes("\n".join(["файл,вид", *rows]).encode("cp1251"))
    dataset = data.load(file, data.DataOptions(encoding="cp1251"))
    assert dataset.task.classes == ("дуб", "ёлка")
    assert data.load_again(dataset.reference).task == dataset.task
    kept = data.from_json(dataset.preprocess.to_json())  # what a bundle predicts for is read alike
    assert kept == dataset.preprocess
    assert data.read_inputs(kept, [file]).names == tuple(str(tmp_path / name) for name in names)
    assert "encoding" not in data.load("digits").preprocess.to_json()


def test_other_columns(tmp_path: Path) -> None:
    people = [f"p{i // 4}" for i in range(40)]
    splits = ["train"] * 24 + ["val"] * 8 + ["Test"] * 8
    file = listed(tmp_path, person=people, age=["7"] * 40, split=splits)
    with pytest.raises(DataError, match="say with --target which column is the label; columns: kind, person, age"):
        data.load(file)
    dataset = data.load(file, data.DataOptions(target="kind"))
    assert dataset.card["samples"] == {"train": 24, "validation": 8, "test": 8}
    assert dataset.card["remarks"] == ["only the pictures are learned from; unused columns: person, age"]
    pd.read_csv(file).drop(columns="split").to_csv(file, index=False)
    grouped = data.load(file, data.DataOptions(target="kind", group="person"))
    assert all(count % 4 == 0 for count in grouped.card["samples"].values())
    more = listed(tmp_path / "more")
    apart = data.load(file, data.DataOptions(target="kind", validation=more))
    assert apart.card["samples"]["validation"] == 40


def test_predictions_for_a_list(tmp_path: Path) -> None:
    file = listed(tmp_path)
    preprocess = data.load(file).preprocess
    read = data.read_inputs(preprocess, [file])
    assert read.names == tuple(str(tmp_path / "pics" / f"{i}.png") for i in range(40))
    (tmp_path / "pics" / "3.png").unlink()
    with pytest.raises(DataError, match=r"3\.png: not a readable image \(.*No such file"):
        data.read_inputs(preprocess, [file])
    assert data.read_inputs(preprocess, [file], skip_bad=True).skipped == (str(tmp_path / "pics" / "3.png"),)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.csv: neither a picture nor a table of pictures"):
        data.read_inputs(preprocess, [tmp_path / "other.csv"])


def test_paths_as_windows_writes_them(tmp_path: Path) -> None:
    file = listed(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("pics/", "pics\\"), encoding="utf-8")
    assert sum(data.load(file).card["samples"].values()) == 40


def test_what_is_no_list_of_pictures_stays_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"photo": [f"{i}.jpg" for i in range(60)], "x": range(60), "y": ["p", "q"] * 30})
    frame.to_csv(tmp_path / "features.csv", index=False)
    assert places.dataset_at(tmp_path / "features.csv") == ("table_file", "file")
    frame.assign(photo="see note.txt").to_csv(tmp_path / "notes.csv", index=False)
    assert places.dataset_at(tmp_path / "notes.csv") == ("table_file", "file")
    assert places.dataset_at(tmp_path / "gone.csv") == ("table_file", "file")


def test_what_is_wrong_with_a_list(tmp_path: Path) -> None:
    file = listed(tmp_path)
    (tmp_path / "pics" / "3.png").unlink()
    with pytest.raises(
        DataError, match=r"pics/3\.png: no such file, which .*list\.csv names; add it, or give --skip-bad"
    ):
        data.load(file)
    assert len(data.load(file, data.DataOptions(skip_bad=True)).card["skipped_files"]) == 1
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("pics/3.png", "pics/2.png"), encoding="utf-8")
    with pytest.raises(DataError, match=r"pics/2\.png has the labels 'a' and 'b'; a picture has one"):
        data.load(file)
    frame = pd.read_csv(file).head(3).assign(split=["train", "test", "later"])
    frame.to_csv(file, index=False)
    with pytest.raises(DataError, match="the column 'split' says 'later', which is no split"):
        data.load(file)
    (tmp_path / "two.csv").write_text("file,kind\ngone/1.png,a\ngone/2.png,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"gone/1\.png: no such file"):
        data.load(tmp_path / "two.csv")


def test_pictures_of_a_list_are_read_like_those_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    rows = []
    for i in range(24):
        image = Image.new("RGBA", (80, 20), (0, 0, 0, 0))
        image.paste((0, 0, 0, 255), (2 + i, 2, 10 + i, 12) if i % 2 else (60, 2, 75 - i // 2, 12))
        image.save(tmp_path / "pics" / f"{i}.png")
        rows.append({"file": f"pics/{i}.png", "side": ["right", "left"][i % 2]})
    pd.DataFrame(rows).to_csv(tmp_path / "list.tsv", index=False, sep="\t")
    dataset = data.load(tmp_path / "list.tsv")
    assert dataset.card["remarks"] == [
        "a centre crop would cut 75 % off 24 of 24 pictures, so all are squashed to squares; --resize decides otherwise"
    ]
    with pytest.raises(DataError, match=r"all 24 pictures are the same once they are read, .* --ground black"):
        data.load(tmp_path / "list.tsv", data.DataOptions(ground="black"))
