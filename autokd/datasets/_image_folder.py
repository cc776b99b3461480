"""A folder of images, one folder a class."""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autokd.data_types import DataContext, Part, Raw
from autokd.datasets.store import Stored, kept
from autokd.declarations import Dataset
from autokd.errors import DataError, nearest
from autokd.modalities import images

_LARGEST_DEFAULT = 64
_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "valid": "validation", "test": "test"}
_DECODING = 1
"""Version of the decoding, part of the cache's key."""


class Listed(NamedTuple):
    """An image file: the split it belongs to, its class and where it is."""

    part: str
    label: int
    path: Path


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Images in one folder a class, or in train, val and test folders of that form.

    Resized to square images, whose side is by default the median of the images' shorter sides, at most 64; grey where
    no image has colour. Decoded once and kept in the cache.
    """

    declares = Dataset(modality="image")

    root: str  # the folder
    validation: str | None = None  # a folder of the same form to validate on

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        folders = _folders(Path(self.root), self.validation)
        classes = _classes(folders["train"])
        listed = [item for part, folder in folders.items() for item in _listing(part, folder, classes)]
        file = context.cache / "images" / f"{_key(listed, context)}.safetensors"
        stored = kept(file, lambda: _decoded(listed, context))
        parts = {part: _part(stored.tensors, part) for part in folders}
        skipped = tuple(json.loads(stored.notes["skipped"]))
        name = Path(self.root).resolve().name
        return Raw(name=name, modality="image", classes=classes, skipped=skipped, **parts)


def _folders(root: Path, validation: str | None) -> dict[str, Path]:
    """Return the folder of each part; without a train folder the whole is the train part."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found = {_FOLDERS[path.name.lower()]: path for path in _subfolders(root) if path.name.lower() in _FOLDERS}
    folders = found if "train" in found else {"train": root}
    if validation is not None:
        if not Path(validation).is_dir():
            raise DataError(f"{validation}: no such folder of validation images")
        folders["validation"] = Path(validation)
    return folders


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(path.name for path in _subfolders(folder))
    if not images.image_files(folder):
        raise DataError(f"{folder}: no image in it; expected one folder a class with image files")
    if not classes:
        raise DataError(f"{folder}: the images lie in no class folder; expected one folder a class")
    return classes


def _listing(part: str, folder: Path, classes: tuple[str, ...]) -> list[Listed]:
    strange = [path for path in _subfolders(folder) if path.name not in classes]
    if strange:
        raise DataError(f"{strange[0]}: no such class in the training images; {nearest(strange[0].name, classes)}")
    files = [images.image_files(folder / name) for name in classes]
    if not (all(files) if part == "train" else any(files)):
        empty = classes[files.index([])]
        raise DataError(f"{folder / empty}: no image in it; remove the folder, or put images there")
    return [Listed(part, label, path) for label, paths in enumerate(files) for path in paths]


def _key(listed: list[Listed], context: DataContext) -> str:
    """Identify the files by content, and how they are decoded."""
    digest = hashlib.sha256(json.dumps([_DECODING, context.image_size, context.skip_bad]).encode())
    for item in listed:
        digest.update(json.dumps([item.part, item.label, str(item.path)]).encode())
        digest.update(hashlib.sha256(item.path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _decoded(listed: list[Listed], context: DataContext) -> Stored:
    side = context.image_size or _default_side(listed)
    pixels: list[NDArray[np.uint8]] = []
    good: list[Listed] = []
    skipped: list[str] = []
    for item in listed:
        try:
            pixels.append(images.decode(item.path, (side, side), channels=3))
            good.append(item)
        except DataError:
            if not context.skip_bad:
                raise
            skipped.append(str(item.path))
    if not good:
        raise DataError(f"none of the {len(listed)} image files can be read, the first is {listed[0].path}")
    return Stored(_tensors(np.stack(pixels), good), {"skipped": json.dumps(skipped)})


def _default_side(listed: list[Listed]) -> int:
    sides = [side for item in listed if (side := images.shorter_side(item.path)) is not None]
    return min(_LARGEST_DEFAULT, round(statistics.median(sides))) if sides else _LARGEST_DEFAULT


def _tensors(pixels: NDArray[np.uint8], listed: list[Listed]) -> dict[str, Tensor]:
    grey = bool((pixels == pixels[:, :1]).all())
    everything = torch.from_numpy(pixels[:, :1] if grey else pixels)
    labels = torch.tensor([item.label for item in listed])
    found: dict[str, Tensor] = {}
    for part in {item.part for item in listed}:
        rows = torch.tensor([row for row, item in enumerate(listed) if item.part == part])
        found |= {f"{part}.inputs": everything[rows], f"{part}.labels": labels[rows]}
    return found


def _part(tensors: dict[str, Tensor], part: str) -> Part:
    if f"{part}.labels" not in tensors:
        raise DataError(f"none of the {part} images can be read")
    return Part(tensors[f"{part}.inputs"], tensors[f"{part}.labels"].numpy())
