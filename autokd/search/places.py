"""Whether a study can be kept where it is to be: its name, its folder, the cache."""

from __future__ import annotations

from pathlib import Path

from autokd.errors import StudyError
from autokd.files import CACHE_REMEDY, cache_dir, check_writable, is_printable, printable
from autokd.study.store import check_free

LONGEST_NAME = 250
"""Bytes of a name; usual file systems have folders with a few more."""


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a study.

    Raises:
      StudyError: it is not that of a folder.
    """
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise StudyError(f"--study {name!r}: the name of a study is the name of a folder, not a path")
    if not is_printable(name):
        raise StudyError(f"--study {printable(name)!r}: the name is not UTF-8; give the study another name")
    if len(name.encode()) > LONGEST_NAME:
        raise StudyError(
            f"--study {name[:20]}…: the name is {len(name.encode())} bytes long, and that of a folder at most "
            f"{LONGEST_NAME}; give the study a shorter one"
        )


def check_places(path: Path) -> None:
    """Refuse, before any work is done, places where nothing can be kept, and a study that is held.

    Args:
      path: of the study's folder.

    Raises:
      UserError: nothing can be written there or in the cache, or another process holds the study.
    """
    check_writable(cache_dir(), CACHE_REMEDY)
    check_writable(path, "run it in a folder that you may write to")
    if (path / "study.yaml").exists():
        check_free(path)
