"""What lies in the cache folder: listed and cleared, but for what is used and what is the user's own."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from autokd.cli import caches
from autokd.cli.commands import app
from autokd.engine.teacher_bank import Group, TeacherBank
from autokd.errors import UserError
from autokd.types import Output

Fill = Callable[[str, str], TeacherBank]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with teachers, data, and a file and a folder of the user's own."""
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path))
    for name, size in {
        "teachers/0123/teacher.json": 10,
        "teachers/0123/weights.safetensors": 90,
        "teachers/0123.lock": 0,
        "teachers/4567/weights.safetensors": 100,
        "arrays/abc.safetensors": 7,
        "images/def.safetensors": 20,
        "images/ghi.safetensors": 30,
        "unpacked/MNIST/raw/train-images": 40,
        "data/cifar-10-batches-py/batch": 1000,
        "notes.txt": 2000,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return tmp_path


def fill(cache: Path, group: str, views: int = 1) -> TeacherBank:
    """A bank that uses a group of blocks of 8 kB of values each."""
    bank = TeacherBank(cache / "bank")
    for view in range(views):
        answers = [Output(torch.ones(1000, 4))]
        bank.block(Group(group, {}), str(view), functools.partial(iter, answers), torch.device("cpu"), frozenset())
    return bank


def test_caches_are_listed_with_entries_and_bytes(cache: Path) -> None:
    fill(cache, "a", 2).close()
    fill(cache, "b").close()
    found = {kept.name: kept for kept in caches.listed()}
    assert list(found) == ["bank", "teachers", "artefacts", "data"]
    assert {name: kept.entries for name, kept in found.items()} == {"bank": 2, "teachers": 2, "artefacts": 0, "data": 4}
    assert (found["teachers"].nbytes, found["data"].nbytes) == (200, 97)
    assert 24_000 < found["bank"].nbytes < 27_000
    assert [kept.path.name for kept in found.values()] == ["bank", "teachers", "artefacts", cache.name]


def test_an_empty_cache_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "new"))
    assert [(kept.entries, kept.nbytes) for kept in caches.listed()] == [(0, 0)] * 4
    assert [caches.clear(name) for name in caches.KEPT] == [0, 0, 0, 0]


def test_clearing_data_leaves_what_users_put_there(cache: Path) -> None:
    assert caches.clear("data") == 97
    left = sorted(path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file())
    assert left == [
        "data/cifar-10-batches-py/batch",
        "notes.txt",
        "teachers/0123.lock",
        "teachers/0123/teacher.json",
        "teachers/0123/weights.safetensors",
        "teachers/4567/weights.safetensors",
    ]


def test_clearing_teachers_leaves_the_rest(cache: Path) -> None:
    assert caches.clear("teachers") == 200
    assert [(kept.name, kept.entries) for kept in caches.listed()] == [
        ("bank", 0),
        ("teachers", 0),
        ("artefacts", 0),
        ("data", 4),
    ]


def test_clearing_the_bank_leaves_what_a_running_search_uses(cache: Path) -> None:
    used = fill(cache, "used")
    fill(cache, "idle").close()
    freed = caches.clear("bank")
    assert 8_000 < freed < 9_000
    assert {path.parent.name for path in cache.rglob("bank/*/*.safetensors")} == {"used"}
    used.close()
    assert 8_000 < caches.clear("bank") < 9_000
    assert not list(cache.rglob("bank/*/*.safetensors"))


def test_an_unknown_cache_is_refused(cache: Path) -> None:
    with pytest.raises(UserError, match="there is no cache 'banks'; did you mean 'bank'"):
        caches.clear("banks")


def test_the_command_lists_and_clears(cache: Path) -> None:
    used = fill(cache, "used")
    fill(cache, "idle").close()
    runner = CliRunner()
    listed = runner.invoke(app, ["cache"])
    assert listed.exit_code == 0
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert lines[0] == ["cache", "entries", "size", "what"]
    assert [line[:4] for line in lines[1:5]] == [
        ["bank", "2", lines[1][2], "kB"],
        ["teachers", "2", "200", "B"],
        ["artefacts", "0", "0", "B"],
        ["data", "4", "97", "B"],
    ]
    cleared = runner.invoke(app, ["cache", "--clear", "bank"])
    assert cleared.exit_code == 0 and "kB freed" in cleared.stdout
    document = json.loads(runner.invoke(app, ["cache", "--clear", "data", "--json"]).stdout)
    assert document["freed"] == 97
    assert [(kept["name"], kept["entries"]) for kept in document["caches"]] == [
        ("bank", 1),
        ("teachers", 2),
        ("artefacts", 0),
        ("data", 0),
    ]
    used.close()
