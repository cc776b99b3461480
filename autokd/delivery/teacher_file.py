"""Where a teacher's file is, in pipeline files that move together with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILE, MEMBERS = "file", "members"
"""Fields of a teacher's plain reference: its file, and the references of an ensemble's members."""


def relative(reference: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a teacher's reference with a file below the work folder as seen from there, so that both may move."""

    def seen_from_here(path: Path) -> Path:
        return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path

    return None if reference is None else _with_file(reference, seen_from_here)


def anchored(reference: Mapping[str, Any] | None, file: Path) -> Mapping[str, Any] | None:
    """Return a teacher's reference with its file where it is now.

    Args:
      reference: plain data.
      file: the pipeline file that names it: a relative path is looked for in the work folder, then in the folders
        above that file; one that is gone, beside it.
    """

    def found(path: Path) -> Path:
        if path.exists():
            return path
        folders = list(file.absolute().parents)
        tried = [*(folder / path for folder in folders if not path.is_absolute()), folders[0] / path.name]
        return next((each for each in tried if each.exists()), path)

    return None if reference is None else _with_file(reference, found)


def _with_file(reference: Mapping[str, Any], change: Callable[[Path], Path]) -> dict[str, Any]:
    changed = dict(reference)
    if isinstance(changed.get(FILE), str):
        changed[FILE] = str(change(Path(changed[FILE])))
    if isinstance(changed.get(MEMBERS), list):
        changed[MEMBERS] = [
            _with_file(each, change) if isinstance(each, Mapping) else each for each in changed[MEMBERS]
        ]
    return changed
