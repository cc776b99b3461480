"""Files are written whole or not at all; caches lie where they are told to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autokd.files import cache_dir, from_yaml, to_yaml, write_text


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
