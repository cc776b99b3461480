"""What autokd keeps in the user's cache folder: the teacher bank, trained teachers, decoded data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from autokd.engine import teacher_bank
from autokd.errors import UserError, nearest
from autokd.files import cache_dir

KEPT = {
    "bank": "teacher outputs on augmented views, shared by trials and studies",
    "teachers": "teachers that autokd trained",
    "artefacts": "what components prepared before training, such as scores of the samples",
    "data": "decoded and unpacked datasets",
}
"""The caches by name. All can be made again, at the price of the time it takes."""
DATA = ("arrays", "images", "unpacked")
"""Folders of the cache `data`. Nothing else in the cache folder is ours to delete: its `data` folder, above all, holds
files that users put there."""


class Cache(NamedTuple):
    """One cache.

    Args:
      name: of `KEPT`.
      path: its folder.
      entries: what it holds: groups of views, teachers, or files of data.
      nbytes: its size.
      about: what it is for.
    """

    name: str
    path: Path
    entries: int
    nbytes: int
    about: str


def listed() -> list[Cache]:
    """Return the caches and their sizes."""
    return [_of(name) for name in KEPT]


def clear(name: str) -> int:
    """Delete a cache, but for what running searches use; return the bytes freed.

    Raises:
      UserError: there is no such cache.
    """
    if name not in KEPT:
        raise UserError(f"there is no cache {name!r}; {nearest(name, KEPT)}")
    before = _of(name).nbytes
    if name == "bank":
        teacher_bank.clear(_folder(name))
    else:
        for path in _entries(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return before - _of(name).nbytes


def _of(name: str) -> Cache:
    folders = [_folder(name)] if name != "data" else [_folder(name) / part for part in DATA]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return Cache(name, _folder(name), len(_entries(name)), sum(path.stat().st_size for path in files), KEPT[name])


def _folder(name: str) -> Path:
    return cache_dir() if name == "data" else cache_dir(name)


def _entries(name: str) -> list[Path]:
    if name == "bank":
        return teacher_bank.group_folders(_folder(name))
    if name == "teachers":
        return [path for path in _folder(name).iterdir() if path.is_dir()]
    if name == "artefacts":
        return list(_folder(name).glob("*.safetensors"))
    return [entry for part in DATA for entry in (_folder(name) / part).glob("*")]
