"""Locks on file systems that have none, or on which a mark was left behind."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import NoReturn

import filelock
import pytest

from autokd import locks
from autokd.errors import StudyError, UserError
from autokd.study.store import check_free


def refusing(number: int):
    def flock(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO, errno.ENOTSUP])
def test_a_file_system_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(UserError, match=r"x\.lock: there can be no lock on this file system .*; set it elsewhere"):
        locks.take(tmp_path / "x.lock", "set it elsewhere")


class Enough(Exception):
    """What a signal may raise."""


def test_a_wait_names_the_file_once_and_ends_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "POLL", 0.001)
    asked = 0

    def on_wait() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Enough

    path = tmp_path / "x.lock"
    with filelock.FileLock(path), pytest.raises(Enough), locks.waited_for(path, "trains this", "-", on_wait):
        pytest.fail("it is held")
    (record,) = caplog.records
    assert record.getMessage() == f"waiting for another process that trains this; if there is none, delete {path}"
    with locks.waited_for(path, "trains this", "-", on_wait):
        assert asked == 3


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN])
def test_a_mark_of_a_study_that_nobody_holds_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(StudyError, match=rf"being run by another process \(unknown\).*delete {tmp_path}/\.lock"):
        check_free(tmp_path)
