"""Which folders are splits, which are classes, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokd import data
from autokd.datasets.layout import layout_of
from autokd.errors import DataError
from tests.datasets.helpers import write_noise


def splits(root: Path) -> dict[str, list[str]]:
    """The class folders of each split, as paths from the root."""
    folders = layout_of(root).folders
    return {part: [path.relative_to(root).as_posix() for path in found.values()] for part, found in folders.items()}


@pytest.mark.parametrize(
    "classes",
    [("bus", "car", "train"), ("control", "test"), ("invalid", "valid"), ("bus", "car", "train", "train/wagons")],
)
def test_a_class_may_have_the_name_of_a_split(tmp_path: Path, classes: tuple[str, ...]) -> None:
    write_noise(tmp_path / "set", classes, each=30)
    dataset = data.load(tmp_path / "set")
    assert dataset.task.classes == tuple(name for name in classes if "/" not in name)
    assert sum(dataset.card["samples"].values()) == 30 * len(classes)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "val", "test"), ("TRAIN", "Dev", "holdout"), ("training", "validation", "testing")],
)
def test_splits_by_their_usual_names(tmp_path: Path, train: str, validation: str, test: str) -> None:
    for name in (train, validation, test):
        write_noise(tmp_path / name, ("ok", "scratch"))
    assert splits(tmp_path) == {
        "train": [f"{train}/ok", f"{train}/scratch"],
        "validation": [f"{validation}/ok", f"{validation}/scratch"],
        "test": [f"{test}/ok", f"{test}/scratch"],
    }


def test_a_split_beside_the_classes(tmp_path: Path) -> None:
    write_noise(tmp_path, ("ok", "scratch", "test/ok", "test/scratch"))
    assert splits(tmp_path) == {"train": ["ok", "scratch"], "test": ["test/ok", "test/scratch"]}
    assert data.load(tmp_path).card["samples"] == {"train": 32, "validation": 8, "test": 40}


def test_a_class_of_folders_that_agree_with_nothing_is_a_class(tmp_path: Path) -> None:
    write_noise(tmp_path, ("control/p1", "control/p2", "test/p3", "test/p4"))
    assert splits(tmp_path) == {"train": ["control", "test"]}


def test_folders_beside_splits_are_named(tmp_path: Path) -> None:
    write_noise(tmp_path, ("train/a", "train/b", "test/a", "test/b", "extra/a", "unlabelled"))
    (tmp_path / "docs").mkdir()
    assert layout_of(tmp_path).remarks == (
        "left out, since only test and train are splits with class folders inside: extra and unlabelled",
    )


def test_a_flat_test_folder_is_named(tmp_path: Path) -> None:
    write_noise(tmp_path, ("train/a", "train/b", "test"))
    assert splits(tmp_path) == {"train": ["train/a", "train/b"]}
    assert layout_of(tmp_path).remarks == ("left out, since only train are splits with class folders inside: test",)


def test_pictures_beside_class_folders_are_named(tmp_path: Path) -> None:
    write_noise(tmp_path, ("a", "b", "."), each=2)
    write_noise(tmp_path / "set", ("train/a", "train/b", "train"), each=1)
    assert layout_of(tmp_path / "set").remarks == (
        f"1 picture(s) in no class folder are left out, the first is {tmp_path / 'set' / 'train' / '0.png'}",
    )


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("bus", "car", "train/steam", "train/diesel"), "train has the folders diesel and steam .* lie bus and car;"),
        (("train/ok", "train/bad", "part2/ok", "part2/bad"), "beside it lies part2; .* call the other splits val"),
        (("TRAIN/a", "TRAIN/b", "Train/a", "Train/b"), "TRAIN and .*Train are both the train split"),
        (("train/a", "train/b", "val/a", "validation/a"), "val and .*validation are both the validation split"),
        (("val/a", "val/b", "test/a", "test/b"), "has test and val, and no train folder"),
        (("train", "test"), "lie in no class folder"),
        (("train/a", "train/b", "test/a", "test/c"), "test/c: no such class in the training images"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    write_noise(tmp_path, folders, each=2)
    with pytest.raises(DataError, match=message) as caught:
        layout_of(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_says_what_is_there(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    for name in ("1.heic", "2.heic"):
        (tmp_path / "set" / "c").mkdir(exist_ok=True)
        (tmp_path / "set" / "c" / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"c: no image in it; .* \(there is: 2 \.heic\)"):
        data.load(tmp_path / "set")
