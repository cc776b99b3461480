"""Files are written whole or not at all; caches lie where they are told to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from autokd.errors import UserError
from autokd.files import cache_dir, check_writable, from_yaml, to_yaml, write_text


def test_text_is_flushed_before_it_takes_the_files_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "a.txt"
    seen: list[tuple[str | None, list[str]]] = []

    def fsync(descriptor: int) -> None:
        old = file.read_text() if file.exists() else None
        seen.append((old, [path.read_text() for path in file.parent.glob("*.tmp")]))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(file, "one")
    write_text(file, "two ✓")
    assert seen == [(None, ["one"]), ("one", ["two ✓"])]
    assert file.read_text(encoding="utf-8") == "two ✓" and list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(file, "new")
    assert file.read_text() == "old"


def test_caches_lie_under_the_environments_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "here"))
    assert cache_dir("teachers", "x") == tmp_path / "here" / "teachers" / "x"
    assert (tmp_path / "here" / "teachers" / "x").is_dir()
    monkeypatch.delenv("AUTOKD_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "user" / name))
    assert cache_dir() == tmp_path / "user" / "autokd"


def test_yaml_keeps_order_and_values() -> None:
    plain = {"z": 1, "a": [1, 2.5, None, True, "é", "1e-3"], "tiny": 1e-05, "nested": {"b": {}, "a": "yes"}}
    text = to_yaml(plain)
    assert list(from_yaml(text)) == ["z", "a", "tiny", "nested"] and from_yaml(text) == plain
    assert "é" in text


def test_the_cache_folder_is_below_the_home_folder_where_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AUTOKD_CACHE", "~/kd")
    assert cache_dir("bank") == tmp_path / "kd" / "bank" and (tmp_path / "kd" / "bank").is_dir()


@pytest.mark.parametrize("given", [None, "~/kd", "~nobody-at-all/kd"])
def test_no_home_folder_is_one_line_that_names_the_way_out(tmp_path, monkeypatch, given):
    def none(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", none)
    for name in ("HOME", "XDG_CACHE_HOME", "AUTOKD_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv("AUTOKD_CACHE", given)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no home folder is known; set AUTOKD_CACHE to a folder") as caught:
        cache_dir()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_made_names_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="file/cache: Not a directory; set AUTOKD_CACHE to a folder"):
        cache_dir()


def test_a_folder_that_is_read_only_is_refused_and_none_is_made(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b", "-")
    assert not list(tmp_path.iterdir())

    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match="a/b: Read-only file system; go elsewhere"):
        check_writable(tmp_path / "a" / "b", "go elsewhere")


def test_what_cannot_be_written_is_called_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        write_text(tmp_path, "a folder is there")
    assert caught.value.filename == str(tmp_path) and not list(tmp_path.parent.glob(".*.tmp"))
