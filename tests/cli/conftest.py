"""The command line, run in this process in an empty folder, on a small space of tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from autokd.cli.commands import run_command
from tests.search.spaces import ONE_LAYER

SPACE = "description: One hidden layer, for tests.\n" + ONE_LAYER.replace("dropout: 0.1", "dropout: 0.0")


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that holds `space.yaml` only."""
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOKD_DATA", raising=False)
    return tmp_path


@pytest.fixture
def run(here: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run one command in the current folder."""

    def command(*arguments: str) -> Ran:
        capfd.readouterr()
        code = run_command([*arguments])
        return Ran(code, *capfd.readouterr())

    return command


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which `search --dataset wine` was run to its end."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUTOKD_CACHE", str(tmp_path_factory.getbasetemp() / "autokd-cache"))
        patch.delenv("AUTOKD_DATA", raising=False)
        assert run_command(["search", "--dataset", "wine", "--space", "space.yaml", "--quiet"]) == 0
        yield folder


@pytest.fixture
def study(made: Path, here: Path) -> Path:
    """The current folder, with a finished study `wine` in it."""
    shutil.copytree(made / "studies", here / "studies")
    shutil.copytree(made / "reports", here / "reports")
    return here / "studies" / "wine"
