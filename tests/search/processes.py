"""Searches in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from autokd.study.records import RecordLog, Records
from tests.processes import Process, start

SEARCH = """
import sys
from autokd.cli.commands import run_command
sys.exit(run_command(["search", "--dataset", "digits", "--limit-train", "64", "--device", "cpu", "--seed", "3",
                      "--study", "mine", "--space", *sys.argv[1:]]))
"""

HELD = """
import os, sys, time
from pathlib import Path
from unittest import mock
from autokd.execution import inline, workers

event, counts = sys.argv.pop(1).encode(), [int(count) for count in sys.argv.pop(1).split(",")]
records, deadline = Path("studies/mine/trials.jsonl"), time.monotonic() + 300
train, poll = inline.run_job, workers.WorkerExecutor._poll


def hold(pids=()):
    if counts and records.exists() and records.read_bytes().count(b'"event": "%s"' % event) >= counts[0]:
        counts.pop(0)
        Path("holding").write_text(" ".join(map(str, pids)))
        Path("holding").rename("held")
        while Path("held").exists():
            time.sleep(0.005)
            if time.monotonic() > deadline:
                os._exit(99)


def held(context, job, on_epoch=None, *rest):
    def after_epoch(line):
        if on_epoch is not None:
            on_epoch(line)
        if line["epoch"] < job.until:
            hold()

    return train(context, job, after_epoch, *rest)


def polled(executor):
    hold([worker.process.pid for worker in executor._workers if worker is not None])
    return poll(executor)


mock.patch.object(inline, "run_job", held).start()
mock.patch.object(workers.WorkerExecutor, "_poll", polled).start()
"""
"""Before a search: once the records hold so many events of a kind, it waits in the next rung with an epoch to go; with
workers, it waits while they train, and `held_workers` says which they are."""

FORKED = """
import multiprocessing
from unittest import mock
from tests import processes
from tests.execution import forked

multiprocessing.current_process().daemon = False  # it may have children
processes.serve()
mock.patch("autokd.execution.workers.subprocess", forked).start()
"""
"""Before a search: its workers are forked from its process as it is now, in place of started."""


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


def started_held(
    folder: Path, space: Path, *options: str, event: str, count: int, again: int | None = None, code: str = SEARCH
) -> Process:
    """Start a search, and return when it waits within a rung, after so many events of a kind; `release` lets it go on.

    So a test that disturbs it meets it where it wants to, however fast or slow the machine is. It waits once more
    after `again` events, where that is given.
    """
    counts = str(count) if again is None else f"{count},{again}"
    process = start(HELD + code, event, counts, space, *options, folder=folder)
    wait_until_held(folder, process)
    return process


def wait_until_held(folder: Path, process: Process) -> None:
    """Wait until a search waits."""
    wait_until((folder / "held").exists, folder, process)


def held_workers(folder: Path) -> list[int]:
    """The workers of a search that waits, by their process ids."""
    return [int(pid) for pid in (folder / "held").read_text().split()]


def release(folder: Path) -> None:
    """Let a search that waits go on."""
    (folder / "held").unlink()


def ended(folder: Path, process: Process | subprocess.Popen[bytes], code: int = 0, *, seconds: float = 600) -> Records:
    """Wait for a search and return its records."""
    assert process.wait(timeout=seconds) == code, (folder / "output.txt").read_text()
    return records_in(folder)


def records_in(folder: Path) -> Records:
    return RecordLog(folder / "studies" / "mine" / "trials.jsonl", read_only=True).records


def wait_until(come: Callable[[], bool], folder: Path, process: Process | subprocess.Popen[bytes]) -> None:
    """Wait until something is so, while a process runs."""
    deadline = time.monotonic() + 300
    while not come():
        over = process.poll() is not None or time.monotonic() > deadline
        assert not over or come(), (folder / "output.txt").read_text()  # it may have come just before its end
        time.sleep(0.005)
