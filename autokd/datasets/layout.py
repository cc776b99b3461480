"""Which folders of a folder of pictures are splits, and which are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from autokd.errors import DataError, nearest
from autokd.modalities.picture_files import counted, find_pictures, loose_pictures, subfolders

SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "dev": "validation"} | {
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
"""Names of folders, in lower case, that may be splits."""


_PICTURES = frozenset({"images", "image", "imgs", "img", "jpegimages"})
_MARKED = frozenset({"labels", "masks", "mask", "annotations", "segmentationclass", "segmentationobject", "annots"})
_OF_PARTS = _PICTURES | _MARKED | {"imagesets"}
"""Names of the folders, in lower case, of pictures with boxes or masks."""


class Layout(NamedTuple):
    """Where the classes of each split are.

    Args:
      classes: names, by index.
      folders: by split, "train" first, the folder of each class that it has, by name.
      remarks: what is left out, a sentence each.
    """

    classes: tuple[str, ...]
    folders: Mapping[str, Mapping[str, Path]]
    remarks: tuple[str, ...]


class _Split(NamedTuple):
    part: str
    folder: Path
    classes: Mapping[str, Path]


def layout_of(root: Path, validation: Path | None = None) -> Layout:
    """Return which folders are splits, and which are classes.

    A folder called train, val, test, … is a split where it holds class folders itself, and these agree with those of
    another split, or with the folders beside it. Otherwise it is a class like the others.

    Args:
      root: the folder.
      validation: a folder of classes to validate on, in place of the one inside.

    Raises:
      DataError: there are no classes, or what is meant cannot be told.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    _check_kind(root)
    splits, remarks = _splits(root)
    if validation is not None:
        if not validation.is_dir():
            raise DataError(f"{validation}: no such folder of validation images")
        splits = [split for split in splits if split.part != "validation"]
        splits.append(_Split("validation", validation, _by_name(subfolders(validation))))
    train = next(split for split in splits if split.part == "train")
    classes = tuple(train.classes)
    for split in splits:
        _check_classes(split, classes)
        remarks += _loose(split.folder)
    return Layout(classes, {split.part: split.classes for split in splits}, tuple(remarks))


def _check_kind(root: Path) -> None:
    """Refuse folders whose names say that parts of the pictures are labelled, not the pictures.

    Raises:
      DataError: it is a folder of another kind of task, or everything lies in one folder more.
    """
    inside = subfolders(root)
    for folder in (root, *inside):
        names = {each.name.lower() for each in subfolders(folder)}
        if names and names <= _OF_PARTS and names & _PICTURES and names & _MARKED:
            raise DataError(
                f"{folder} has {_names(subfolders(folder))}, like a set of boxes or masks; classes are of whole "
                "pictures: put them into one folder a class, or list them with their labels in a CSV (docs/pictures.md)"
            )
    if len(inside) == 1 and inside[0].name.lower() not in SPLITS and subfolders(inside[0]):
        raise DataError(f"{root} has one folder only, {inside[0].name}, and folders in it; give {inside[0]}")


def _splits(root: Path) -> tuple[list[_Split], list[str]]:
    """Return the splits, train first, and what is said of folders that are left out."""
    inside = subfolders(root)
    named = [folder for folder in inside if folder.name.lower() in SPLITS]
    others = list(filter(_has_pictures, (folder for folder in inside if folder not in named)))
    splits = list(map(_split_in, _holding_classes(named, alone=not others)))
    if named and not (splits or others):
        raise DataError(f"{named[0]}: the images lie in no class folder; expected one folder a class")
    if "train" in {split.part for split in splits}:
        return _beside_one_another(splits, inside, others)
    return _beside_classes(root, splits, inside)


def _split_in(folder: Path) -> _Split:
    return _Split(SPLITS[folder.name.lower()], folder, _by_name(subfolders(folder)))


def _beside_one_another(
    splits: list[_Split], inside: Sequence[Path], others: Sequence[Path]
) -> tuple[list[_Split], list[str]]:
    """Return splits of which one is train, and what is said of the folders beside them."""
    _check_once(splits)
    splits = sorted(splits, key=lambda split: split.part != "train")
    train = splits[0]
    agreed = any(set(split.classes) & set(train.classes) for split in splits[1:])
    if others and not agreed:
        raise DataError(
            f"{train.folder} has the folders {_names(train.classes)} inside, like a training split, but beside it "
            f"lie{'s' * (len(others) == 1)} {_names(others)}; if {train.folder.name} is a class, rename it; if it is a "
            f"split, call the other splits val and test, or give --dataset {train.folder}"
        )
    taken = {split.folder for split in splits}
    left = [folder for folder in inside if folder not in taken and _has_pictures(folder)]
    if not left:
        return splits, []
    return splits, [f"left out, since only {_names(taken)} are splits with class folders inside: {_names(left)}"]


def _beside_classes(root: Path, splits: list[_Split], inside: Sequence[Path]) -> tuple[list[_Split], list[str]]:
    """Return classes with splits among them that have folders for the same classes; without such, classes alone."""
    outside = [folder for folder in inside if folder not in {split.folder for split in splits}]
    if splits and not outside:
        raise DataError(f"{root} has {_names(inside)}, and no train folder; rename one to train")
    names = {folder.name for folder in outside}
    if not any(names & set(split.classes) for split in splits):
        return [_Split("train", root, _by_name(inside))], []
    _check_once(splits)
    return [_Split("train", root, _by_name(outside)), *splits], []


def _holding_classes(folders: Sequence[Path], *, alone: bool) -> list[Path]:
    """Return those that may be splits: with folders inside, and no pictures beside these unless splits lie alone."""
    return [folder for folder in folders if subfolders(folder) and (alone or not loose_pictures(folder))]


def _check_once(splits: Sequence[_Split]) -> None:
    found: dict[str, Path] = {}
    for split in splits:
        other = found.setdefault(split.part, split.folder)
        if other != split.folder:
            raise DataError(f"{other} and {split.folder} are both the {split.part} split; put them into one folder")


def _check_classes(split: _Split, classes: Sequence[str]) -> None:
    """Refuse a split without pictures or class folders, with a class that training has not, or without one it has."""
    empty = [name for name, folder in split.classes.items() if not _has_pictures(folder)]
    if len(empty) == len(split.classes) and not loose_pictures(split.folder):
        _refuse_empty(split.folder, "expected one folder a class with image files")
    if not split.classes:
        raise DataError(f"{split.folder}: the images lie in no class folder; expected one folder a class")
    for name in split.classes:
        if name not in classes:
            raise DataError(f"{split.folder / name}: no such class in the training images; {nearest(name, classes)}")
    if empty and split.part == "train":
        _refuse_empty(split.classes[empty[0]], "remove the folder, or put images there")


def _refuse_empty(folder: Path, remedy: str) -> NoReturn:
    others = find_pictures(folder).others
    seen = f" (there is: {counted(others)})" if others else ""
    raise DataError(f"{folder}: no image in it; {remedy}{seen}")


def _loose(folder: Path) -> list[str]:
    loose = loose_pictures(folder)
    return [f"{len(loose)} picture(s) in no class folder are left out, the first is {loose[0]}"] if loose else []


def _has_pictures(folder: Path) -> bool:
    return bool(find_pictures(folder).pictures)


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    return {folder.name: folder for folder in folders}


def _names(folders: object) -> str:
    """Say the names of folders, of many the first: "a, b and c"."""
    names = sorted(getattr(folder, "name", str(folder)) for folder in folders)  # type: ignore[attr-defined]
    if len(names) > 5:
        names = [*names[:4], f"{len(names) - 4} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
