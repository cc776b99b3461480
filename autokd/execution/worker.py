"""A worker process: trains the rungs that a coordinator sends it. Started by `autokd.execution.workers`, not by people.

It reads JSON lines from its standard input: first what it needs, then {"job": …} or {"leave": true}. It writes JSON
lines: {"ready": true}, {"alive": true} about once a second, {"outcome": …} or {"left": true} after each job, and
{"refused": "why"} where it cannot take part. Its input's end means that the coordinator is gone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from autokd.errors import AutokdError, Interrupted
from autokd.execution.executor import job_from_plain, outcome_to_plain
from autokd.execution.run_job import run_job
from autokd.execution.setup import load_context
from autokd.execution.tied import tie_to_parent

SIGN_EVERY = 1.0


def main() -> None:
    """Serve until the input ends."""
    inlet, outlet = sys.stdin.buffer, _own_output()
    tie_to_parent()

    def say(message: Mapping[str, Any]) -> None:
        outlet.write(json.dumps(message).encode() + b"\n")
        outlet.flush()

    setup = json.loads(inlet.readline())
    try:
        context = load_context(setup, alive=_signs(say))
    except AutokdError as error:
        say({"refused": str(error)})
        return
    say({"ready": True})
    jobs, leave = _listen(inlet)
    while True:
        job = job_from_plain(jobs.get())
        answer: dict[str, Any]
        try:
            answer = {"outcome": outcome_to_plain(run_job(context, job, leave=leave.is_set))}
        except Interrupted:
            answer = {"left": True}
        except OSError as error:
            say({"refused": f"{error.filename}: {error.strerror}"})
            return
        say({**answer, "bank": context.bank.counts.take(), "profile": context.profile.take()})


def _own_output() -> IO[bytes]:
    """Keep the pipe to the coordinator for this protocol; whatever else prints, prints to standard error."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # line by line, so that a worker that is killed loses no line
    return own


def _signs(say: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
    last = [0.0]

    def alive() -> None:
        now = time.monotonic()
        if now - last[0] >= SIGN_EVERY:
            last[0] = now
            say({"alive": True})

    return alive


def _listen(inlet: IO[bytes]) -> tuple[queue.Queue[dict[str, Any]], threading.Event]:
    """Read on in a thread; when the input ends, so does the process, whatever it is doing."""
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    leave = threading.Event()

    def read() -> None:
        for line in inlet:
            message = json.loads(line)
            if "leave" in message:
                leave.set()
            else:
                jobs.put(message["job"])
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return jobs, leave


if __name__ == "__main__":
    main()
