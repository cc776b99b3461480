"""Commands where there is no console, or only something that stands in for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autokd.cli import progress, streams
from autokd.cli.commands import run_command
from autokd.search.request import Progress


class Plain:
    """What a notebook may put in the place of a stream."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


class Broken(Plain):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stand_in", [None, Plain(), Broken()], ids=["none", "plain", "broken"])
def test_progress_needs_no_console(monkeypatch: pytest.MonkeyPatch, stand_in: Any) -> None:
    monkeypatch.setattr(sys, "stderr", stand_in)
    with streams.in_place(), progress.shown(quiet=False) as notify, progress.logging_to_stderr():
        notify(Progress(stage="explore", done=1, total=3))
    if type(stand_in) is Plain:
        assert stand_in.text == "explore: 1/3\n"
    assert sys.stderr is stand_in


@pytest.mark.parametrize("stand_in", [None, Plain()], ids=["none", "plain"])
def test_commands_need_no_console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stand_in: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, stand_in)
    assert run_command(["studies"]) == 0
    assert run_command(["trials", "nothing"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    command = f"{sys.executable} -m autokd list losses {closed}; echo $? > code"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "code").read_text() == "0\n"


@pytest.mark.slow
def test_no_file_of_ours_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "from autokd.cli import streams; streams.open_closed(); file = open('f', 'w'); "
        "open('number', 'w').write(str(file.fileno()))"
    )
    subprocess.run(
        ["bash", "-c", f'"$0" -c "{code}" <&- >&- 2>&-', sys.executable], cwd=tmp_path, check=True, env=os.environ
    )
    assert int((tmp_path / "number").read_text()) > 2
