"""What lies in a folder: links, what file managers leave behind, other files by ending."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autokd import data
from autokd.errors import DataError
from autokd.modalities.picture_files import counted, find_pictures, subfolders
from tests.datasets.helpers import write_noise


def test_folders_are_links(tmp_path: Path) -> None:
    write_noise(tmp_path / "store", ("a", "b", "a_more", "b_more"))
    for name in ("a", "b"):
        (tmp_path / "linked").mkdir(exist_ok=True)
        (tmp_path / "linked" / name).symlink_to(tmp_path / "store" / name)
        write_noise(tmp_path / "half", (name,))
        (tmp_path / "half" / name / "more").symlink_to(tmp_path / "store" / f"{name}_more")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").symlink_to(tmp_path / "store" / "a")
    write_noise(tmp_path / "one", ("b",))
    for folder, each in (("linked", 20), ("half", 40), ("one", 20)):
        dataset = data.load(tmp_path / folder)
        assert sum(dataset.card["samples"].values()) == 2 * each, folder
        assert len(data.read_inputs(dataset.preprocess, [tmp_path / folder]).names) == 2 * each


def test_splits_are_links(tmp_path: Path) -> None:
    write_noise(tmp_path / "store", ("a", "b"))
    (tmp_path / "set" / "val").mkdir(parents=True)
    (tmp_path / "set" / "train").symlink_to(tmp_path / "store")
    for name in ("a", "b"):
        (tmp_path / "set" / "val" / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "root").symlink_to(tmp_path / "set")
    assert data.load(tmp_path / "root").card["samples"] == {"train": 32, "validation": 40, "test": 8}


@pytest.mark.parametrize("target", [".", "..", "../..", "x"])
def test_links_in_a_circle_are_followed_once(tmp_path: Path, target: str) -> None:
    write_noise(tmp_path / "set", ("a", "b"), each=3)
    write_noise(tmp_path / "set" / "a", ("x",), each=2)
    (tmp_path / "set" / "a" / "again").symlink_to(target)
    found = find_pictures(tmp_path / "set" / "a").pictures
    assert [path.relative_to(tmp_path / "set" / "a").as_posix() for path in found] == [
        "0.png",
        "1.png",
        "2.png",
        "x/0.png",
        "x/1.png",
    ]


def test_two_folders_that_are_linked_to_each_other(tmp_path: Path) -> None:
    write_noise(tmp_path, ("set/a/x", "set/a/y"), each=2)
    (tmp_path / "set/a/x/y").symlink_to(tmp_path / "set/a/y")
    (tmp_path / "set/a/y/x").symlink_to(tmp_path / "set/a/x")
    assert len(find_pictures(tmp_path / "set" / "a").pictures) == 4


def test_links_that_lead_nowhere_are_counted(tmp_path: Path) -> None:
    write_noise(tmp_path, ("a",), each=1)
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "a" / "self.png").symlink_to("self.png")
    found = find_pictures(tmp_path / "a")
    assert len(found.pictures) == 1 and found.others == {"broken link": 2}


def test_what_file_managers_leave_behind_is_passed_over(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    plain = data.load(tmp_path / "set")
    for name in ("a", "b"):
        for folder in ("@eaDir", ".thumbnails", "__MACOSX", "$RECYCLE.BIN", "#recycle"):
            write_noise(tmp_path / "set" / name, (f"{folder}/0.png",), each=1)
        (tmp_path / "set" / name / "._0.png").write_bytes(b"resource fork")
        (tmp_path / "set" / name / "Thumbs.db").write_bytes(b"thumbnails")
        (tmp_path / "set" / name / "desktop.ini").write_bytes(b"")
        (tmp_path / "set" / name / "0.png:Zone.Identifier").write_bytes(b"[ZoneTransfer]")
    write_noise(tmp_path / "set", ("@eaDir", "__MACOSX/a", "System Volume Information", ".Trash-1000/files"))
    (tmp_path / "set" / "lost+found").mkdir()
    littered = data.load(tmp_path / "set")
    assert littered.card == plain.card and littered.card["remarks"] == []
    assert [folder.name for folder in subfolders(tmp_path / "set")] == ["a", "b"]


def test_other_files_are_counted_by_ending(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    for name in ("x.HEIC", "y.heic", "notes.txt", "IMG_0001"):
        (tmp_path / "set" / "a" / name).write_bytes(b"")
    (tmp_path / "set" / "b" / "deep").mkdir()
    (tmp_path / "set" / "b" / "deep" / "z.heic").write_bytes(b"")
    said = "5 file(s) are no pictures and are left out: 3 .heic, 1 .txt, 1 no ending"
    assert data.load(tmp_path / "set").card["remarks"] == [said] and said in caplog.text
    assert counted({".b": 1, ".a": 1, ".c": 2}) == "2 .c, 1 .a, 1 .b"


@pytest.mark.parametrize("ending", ["jfif", "JPE", "pbm", "tga", "webp", "TIF"])
def test_endings_that_are_read(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "a" / f"x.{ending}"
    file.parent.mkdir()
    Image.fromarray(np.full((8, 8), 255, np.uint8)).convert("1" if ending == "pbm" else "L").save(file)
    assert find_pictures(tmp_path).pictures == (file,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    (tmp_path / "set" / "b").chmod(0)
    try:
        with pytest.raises(DataError, match="b: Permission denied"):
            data.load(tmp_path / "set")
    finally:
        (tmp_path / "set" / "b").chmod(0o700)
