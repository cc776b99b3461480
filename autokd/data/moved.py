"""Where a dataset's files are now, where they are elsewhere than a reference says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd.errors import DataError

PLACES = ("root", "file", "validation")
"""Fields of datasets that are a path of the user's own."""
POOL = "unlabelled"
"""Key of a dataset's reference that is a path of the user's own, too."""


def found_again(component: Any, data_dir: Path | None) -> Any:
    """Return a dataset component whose paths are those of today.

    Args:
      component: of a dataset.
      data_dir: the folder or file itself that the dataset is now, or a folder above it; None: where it was.

    Raises:
      DataError: it is not there.
    """
    names = [field.name for field in dataclasses.fields(component) if field.name in PLACES]
    was = {name: Path(path) for name in names if (path := getattr(component, name)) is not None}
    return dataclasses.replace(
        component, **{name: str(_now(f"data.component.{name}", path, data_dir)) for name, path in was.items()}
    )


def pool_found_again(pool: str, data_dir: Path | None) -> str:
    """Return where the samples without labels of a dataset's reference are today.

    Args:
      pool: the path in the reference.
      data_dir: a folder above it; where it is in none, or there is none, it is where it was.

    Raises:
      DataError: it is not there.
    """
    if Path(pool).exists():
        return str(Path(pool).resolve())
    return str(_now(f"data.{POOL}", Path(pool), data_dir))


def together(pool: str, was: Any, now: Any) -> str | None:
    """Return where the samples without labels are today where they are in a file of the dataset itself, else None.

    Args:
      pool: the path in the reference.
      was, now: the dataset's component with its paths then and today.
    """
    names = {field.name for field in dataclasses.fields(was)} & {*PLACES}
    return next((str(getattr(now, name)) for name in sorted(names) if getattr(was, name) == pool), None)


def _now(name: str, path: Path, data_dir: Path | None) -> Path:
    if data_dir is None:
        if not path.exists():
            raise DataError(
                f"{path}: no such file or folder; if it was moved, say with --data-dir where it is now, or edit {name}"
            )
        return path.resolve()
    below = [data_dir.joinpath(*path.parts[start:]) for start in range(1, len(path.parts))]
    itself = [data_dir] if data_dir.is_file() or (name.endswith(".root") and data_dir.is_dir()) else []
    there = next((each for each in (*below, *itself) if each.exists()), None)
    if there is None:
        raise DataError(f"{data_dir}: there is no {path.name} in it; give the folder that holds it, or itself")
    return there.resolve()


def relative(reference: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a dataset's reference with paths below the work folder as seen from there, so that both may move."""
    return None if reference is None else _with_paths(reference, _seen_from_here)


def anchored(reference: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return a dataset's reference with relative paths that are not below the work folder as seen from a file.

    Args:
      reference: plain data.
      file: that names it; its folder, and then each folder above that, is tried.
    """

    def found(path: Path) -> Path:
        above = (folder / path for folder in file.absolute().parents)
        return path if path.is_absolute() or path.exists() else next((each for each in above if each.exists()), path)

    return _with_paths(reference, found)


def _seen_from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def _with_paths(reference: Mapping[str, Any], change: Any) -> dict[str, Any]:
    component = reference.get("component")
    if not isinstance(component, Mapping):
        return dict(reference)
    changed = {
        key: str(change(Path(value))) if key in PLACES and isinstance(value, str) else value
        for key, value in component.items()
    }
    pool = reference.get(POOL)
    moved = {POOL: str(change(Path(pool)))} if isinstance(pool, str) else {}
    return {**reference, "component": changed, **moved}
