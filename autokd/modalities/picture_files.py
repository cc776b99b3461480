"""Which files of a folder are pictures, and what else lies there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from autokd.errors import DataError

SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"}
    | {".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
"""Endings of the files that are read as pictures, in lower case."""

_FOLDERS_LEFT_BEHIND = frozenset(
    {"@eadir", "@tmp", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot", "__macosx", "lost+found"}
    | {
        "$recycle.bin",
        "recycler",
        "recycled",
        "system volume information",
        "network trash folder",
        "temporary items",
        "__pycache__",
    }
)
_FILES_LEFT_BEHIND = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"})
_PREFIXES = (".", "~$")
"""Beginnings of the names of hidden files, and of files that say that a program has another one open."""
_WINDOWS_MARK = ":zone.identifier"
"""End of the names of files that say where Windows had another file from."""


class Found(NamedTuple):
    """What lies in a folder and below.

    Args:
      pictures: the picture files, sorted.
      others: how many other files there are, by what they are: ".txt", "no ending", "broken link".
    """

    pictures: tuple[Path, ...]
    others: Mapping[str, int]


def find_pictures(folder: Path) -> Found:
    """Return what lies in a folder and below.

    Links are followed; a folder is entered once, and never one that the folder itself lies in. Hidden files, and what
    file managers and network drives leave behind (`@eaDir`, `__MACOSX`, `Thumbs.db`), are no part of it.

    Raises:
      DataError: a folder cannot be read.
    """
    pictures: list[Path] = []
    others: Counter[str] = Counter()
    for path in _files(folder):
        suffix = path.suffix.lower()
        if not path.is_file():
            others["broken link"] += 1
        elif suffix in SUFFIXES:
            pictures.append(path)
        else:
            others[suffix or "no ending"] += 1
    return Found(tuple(sorted(pictures)), others)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, links to folders among them, sorted; not those that `find_pictures` passes over.

    Raises:
      DataError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not _left_behind(path.name))
    except OSError as error:
        _refuse(error)


def loose_pictures(folder: Path) -> list[Path]:
    """Return the picture files that lie in a folder itself."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not _left_behind(path.name) and path.is_file()
    )


def counted(others: Mapping[str, int]) -> str:
    """Say how many files there are by ending, the commonest first: "12 .txt, 3 .heic"."""
    return ", ".join(f"{count} {what}" for what, count in sorted(others.items(), key=lambda item: (-item[1], item[0])))


def said_of_others(others: Mapping[str, int]) -> list[str]:
    """Say in a sentence what is left out because it is no picture file; [] where nothing is."""
    return [f"{sum(others.values())} file(s) are no pictures and are left out: {counted(others)}"] if others else []


def _files(folder: Path) -> Iterator[Path]:
    start = Path(os.path.realpath(folder))
    entered = set(start.parents)
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = Path(os.path.realpath(here))
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        inside = Path(here)
        kept = (name for name in folders if not _left_behind(name))
        folders[:] = sorted(kept, key=lambda name: ((inside / name).is_symlink(), name))
        yield from (inside / name for name in files if not _left_behind(name))


def _left_behind(name: str) -> bool:
    lower = name.lower()
    known = lower in _FOLDERS_LEFT_BEHIND or lower in _FILES_LEFT_BEHIND
    return known or name.startswith(_PREFIXES) or lower.endswith(_WINDOWS_MARK)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: {error.strerror or error}; it cannot be looked through") from error
