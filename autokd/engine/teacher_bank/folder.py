"""The bank's folder on disk: groups of blocks, and which running processes use them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import filelock

from autokd.files import CACHE_REMEDY, write_text
from autokd.locks import take

USERS = "users"
"""Folder of the marks of running processes."""


class UsersMark:
    """A file that says which groups a running process uses; its lock is held as long as the process lives.

    Args:
      folder: of the bank.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / USERS
        self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lock: filelock.BaseFileLock | None = None
        self.groups: set[str] = set()

    def add(self, group: str) -> None:
        """Say that this process uses a group."""
        self.groups.add(group)
        if self._lock is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = take(self._folder / f"{self._name}.lock", CACHE_REMEDY)  # the name is this process's own
        write_text(self._folder / f"{self._name}.json", json.dumps(sorted(self.groups)))

    def close(self) -> None:
        """Say that this process uses no group any more."""
        if self._lock is not None:
            (self._folder / f"{self._name}.json").unlink(missing_ok=True)
            self._lock.release()
            (self._folder / f"{self._name}.lock").unlink(missing_ok=True)
            self._lock = None


def groups_in_use(folder: Path) -> set[str]:
    """Return the groups that running processes use; marks of dead processes are removed."""
    used: set[str] = set()
    for mark in (folder / USERS).glob("*.json"):
        with contextlib.suppress(filelock.Timeout):
            with take(mark.with_suffix(".lock"), CACHE_REMEDY):
                mark.unlink(missing_ok=True)
                mark.with_suffix(".lock").unlink(missing_ok=True)
            continue
        with contextlib.suppress(FileNotFoundError):  # its process has just ended
            used |= set(json.loads(mark.read_text(encoding="utf-8")))
    return used


def group_folders(folder: Path) -> list[Path]:
    """Return the groups' folders, the one that no process began to use for longest first."""
    return sorted((path for path in folder.glob("*") if path.is_dir() and path.name != USERS), key=_last_begun)


def folder_bytes(folder: Path) -> int:
    """Return the size of all blocks in a bank or group."""
    return sum(size for _, size in _blocks(folder))


def clear(folder: Path) -> int:
    """Delete all groups that no running process uses; return the bytes freed."""
    return evict(folder, 2**62, keep=set())


def evict(folder: Path, nbytes: int, keep: set[str]) -> int:
    """Delete groups that nobody uses, oldest first, until so many bytes are free; return the bytes freed."""
    busy = groups_in_use(folder) | keep
    freed = 0
    for group in group_folders(folder):
        if freed < nbytes and group.name not in busy:
            freed += folder_bytes(group)
            shutil.rmtree(group, ignore_errors=True)
    return freed


def _last_begun(group: Path) -> float:
    about = group / "about.json"
    return about.stat().st_mtime if about.exists() else 0.0


def _blocks(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*.safetensors"):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat().st_size
