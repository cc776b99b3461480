"""The command line, run in this process in an empty folder, on a small space of tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from autokd.cli.commands import run_command

SPACE = """\
description: One hidden layer, for tests.
student: {one_of: {mlp: {depth: 1, width: {int: [4, 7]}, dropout: 0.0}}}
augment: {one_of: {none: {}}}
losses: {always: {ce: {weight: 1.0, label_smoothing: 0.0}}, any_of: {at_most: 1, from: {kd: {}}}}
optimizer: {one_of: {adamw: {}}}
schedule: {one_of: {one_cycle: {}}}
batch_size: 32
budget: {trials: 3, epochs: 1, rungs: 1, finalists: 1, select_seeds: 1, claim_seeds: 2,
         teacher_epochs: 1}
"""


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
