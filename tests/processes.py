"""Processes of their own for tests.

Most of what a new process does is to import: several seconds. So they are forked from one that has imported everything
and has done nothing else; `multiprocessing` calls it the fork server. It is itself a fork of the process that runs the
tests, made before the first one runs. Where importing is what is tested, a test starts a process itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

IMPORTED = [
    *(
        "autokd.api",
        "autokd.cli.commands",
        "autokd.cli.progress",
        "autokd.report",
        "autokd.search.run",
        "autokd.testing",
    ),
    *("jinja2", "optuna.importance", "plotly.graph_objects", "pytest", "sklearn.datasets"),
    "torch._dynamo",  # the first optimizer imports it
    *("autokd.search.tpe.mirror", "PIL.Image", "plotly.io", "pydantic", "rich.progress", "sqlalchemy"),
    "tests.rendered",
]
"""What the fork server imports: what a search will."""
ANEW = "import sys\nfor name in [n for n in sys.modules if n.partition('.')[0] == 'autokd']: del sys.modules[name]\n"
"""Before code that is to import autokd by itself."""
SPAWN = util.spawnv_passfds


class Process:
    """A process that was forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, made: BaseProcess) -> None:
        self._made = made
        assert made.pid is not None
        self.pid = made.pid

    def poll(self) -> int | None:
        return self._made.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._made.join(timeout)
        if self._made.exitcode is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return self._made.exitcode

    def send_signal(self, number: int) -> None:
        """As `subprocess.Popen` does: one that has ended gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._made.kill()


class Ran(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    said: str


def serve() -> None:
    """Start the fork server from what this process has imported; where that cannot be, the first `fork` starts it."""
    import torch

    if sys.platform != "linux" or torch.cuda.is_available():
        return
    forkserver.set_forkserver_preload(IMPORTED)
    with warnings.catch_warnings(), mock.patch.object(util, "spawnv_passfds", _spawn):
        warnings.simplefilter("ignore", DeprecationWarning)  # a worker of pytest-xdist has a thread that only listens
        forkserver.ensure_running()


def _spawn(path: bytes, command: Sequence[str], kept: Sequence[int]) -> int:
    """What `multiprocessing` calls to start a process of its own; the fork server is forked instead."""
    code = command[-1]
    if "multiprocessing.forkserver" not in code:
        return SPAWN(path, command, kept)
    if process := os.fork():
        return process
    try:
        _forget_pytest(kept)
        exec(code, {"__name__": "__main__"})
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def _forget_pytest(kept: Sequence[int]) -> None:
    """Let go of all files but some, and undo what pytest has changed in this process."""
    faulthandler.disable()
    logging.getLogger().handlers.clear()
    nothing = os.open(os.devnull, os.O_RDWR)
    open_files = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    for number in open_files:  # no number becomes free: somebody may still write to it
        if number > 2 and number not in (nothing, *kept):
            os.dup2(nothing, number, inheritable=False)
    streams = [open(number, mode, 1, encoding="utf-8", closefd=False) for number, mode in enumerate("rww")]  # noqa: SIM115
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forkserver._forkserver.__init__()  # type: ignore[misc]  # its lock is held where the fork server is made
    os.fsync = lambda fd: None  # nothing that a test writes outlives the run


def fork(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Call a function in a process of its own."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    made: BaseProcess = context.Process(target=function, args=arguments, daemon=True)
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # the first one starts the fork server
        made.start()
    return made


def start(code: str, *arguments: Path | str, folder: Path) -> Process:
    """Start Python code in a process of its own in a folder; what it says goes to output.txt there."""
    folder.mkdir(exist_ok=True)
    return Process(fork(_run, code, tuple(map(str, arguments)), folder, dict(os.environ)))


def run(code: str, *arguments: Path | str, folder: Path) -> Ran:
    """Start Python code and wait for its end."""
    ended = start(code, *arguments, folder=folder).wait(timeout=600)
    return Ran(ended, (folder / "output.txt").read_text(encoding="utf-8"))


def _run(code: str, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
    """What `python -c CODE ARGUMENTS` does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ |= {**environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that comes too late ends the process
