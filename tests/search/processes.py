"""Searches in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from autokd.study.records import RecordLog, Records
from tests.processes import Process, start

SEARCH = """
import sys
from autokd.cli.commands import run_command
sys.exit(run_command(["search", "--dataset", "digits", "--limit-train", "128", "--device", "cpu", "--seed", "3",
                      "--study", "mine", "--space", *sys.argv[1:]]))
"""


def started(folder: Path, space: Path, *options: str, code: str = SEARCH) -> Process:
    """Start Python code, by default a search, in a process of its own in a folder; what it says goes to output.txt."""
    return start(code, space, *options, folder=folder)


def started_anew(
    folder: Path, space: Path, *options: str, code: str = SEARCH, **environment: str
) -> subprocess.Popen[bytes]:
    """Start the same in a process that imports all by itself, with environment variables of its own."""
    folder.mkdir(exist_ok=True)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    with (folder / "output.txt").open("ab") as output:
        command = [sys.executable, "-c", code, str(space), *options]
        return subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=folder)


def ended(folder: Path, process: Process | subprocess.Popen[bytes], code: int = 0, *, seconds: float = 600) -> Records:
    """Wait for a search and return its records."""
    assert process.wait(timeout=seconds) == code, (folder / "output.txt").read_text()
    return records_in(folder)


def records_in(folder: Path) -> Records:
    return RecordLog(folder / "studies" / "mine" / "trials.jsonl", read_only=True).records


def wait_for(folder: Path, process: Process | subprocess.Popen[bytes], event: str, count: int) -> None:
    """Wait until a search's records hold so many events of a kind."""
    path, mark = folder / "studies/mine/trials.jsonl", f'"event": "{event}"'.encode()
    deadline = time.monotonic() + 300
    while not path.exists() or path.read_bytes().count(mark) < count:
        assert process.poll() is None and time.monotonic() < deadline, (folder / "output.txt").read_text()
        time.sleep(0.005)
