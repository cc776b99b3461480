"""Locks that other processes see: taken at once, or waited for; and what to say where there can be none."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from autokd.errors import UserError

POLL = 0.5
"""Seconds between two looks at a lock that is waited for."""
_log = logging.getLogger("autokd")


def take(path: Path, remedy: str) -> filelock.BaseFileLock:
    """Take a lock now.

    Args:
      path: of its file, which is made.
      remedy: what to do where the file system has no locks, for the message.

    Raises:
      filelock.Timeout: another process holds it, or has left its mark behind.
      UserError: the file system has no locks.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (filelock.Timeout, PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise
    except OSError as error:
        raise UserError(f"{path}: there can be no lock on this file system ({error.strerror}); {remedy}") from error
    return lock


@contextlib.contextmanager
def waited_for(path: Path, what: str, remedy: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock; while another process has it, wait, which is said once with the name of the file.

    Args:
      path: of its file.
      what: the other process does, for the message.
      remedy: as for `take`.
      on_wait: called again and again while it waits; what it raises ends that.

    Raises:
      UserError: the file system has no locks.
    """
    said = False
    while True:
        try:
            lock = take(path, remedy)
            break
        except filelock.Timeout:
            if not said:
                _log.warning("waiting for another process that %s; if there is none, delete %s", what, path)
            said = True
        on_wait()
        time.sleep(POLL)
    try:
        yield
    finally:
        lock.release()
