"""Worker processes that are forked, as `tests.processes` does it, in place of started."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from autokd.execution.workers import COMMAND
from tests.processes import Process, fork

PIPE = subprocess.PIPE


def Popen(command: Sequence[str], *, stderr: IO[bytes], env: Mapping[str, str], **given: Any) -> Any:
    """What `WorkerExecutor` calls for a worker; a command of a test's own is started as it is."""
    if command == COMMAND:
        return Worker(stderr.name, env)
    return subprocess.Popen(command, stderr=stderr, env=env, **given)


class Worker(Process):
    """A forked worker, with the pipes to it.

    Args:
      log_file: where it prints to.
      environment: its variables.
    """

    def __init__(self, log_file: str, environment: Mapping[str, str]) -> None:
        inlet, ours = multiprocessing.Pipe(duplex=False)
        theirs, outlet = multiprocessing.Pipe(duplex=False)
        super().__init__(fork(_serve, inlet, outlet, str(Path.cwd()), log_file, dict(environment)))
        self.stdin, self.stdout = os.fdopen(os.dup(ours.fileno()), "wb"), os.fdopen(os.dup(theirs.fileno()), "rb")
        for end in (inlet, ours, theirs, outlet):
            end.close()


def _serve(inlet: Connection, outlet: Connection, folder: str, log_file: str, environment: Mapping[str, str]) -> None:
    """What `python -m autokd.execution.worker` does in a folder."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ |= environment
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, end in enumerate((inlet.fileno(), outlet.fileno(), log)):
        os.dup2(end, number)
    inlet.close()
    outlet.close()
    sys.stdin = open(0)  # noqa: SIM115
    runpy.run_module(COMMAND[-1], run_name="__main__")
