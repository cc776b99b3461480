"""Local worker processes that train rungs: `python -m autokd.execution.worker`, speaking JSON lines.

A worker loads data and teacher once and trains one job after another. Whatever becomes of it (a crash, a hang, memory
without end, `kill -9`) is an event for the coordinator: the worker is replaced, and its job is tried once more, from
its checkpoint, before the trial counts as failed. A worker whose coordinator is gone ends itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from autokd.engine.profile import Profile
from autokd.engine.teacher_bank import Counts
from autokd.errors import Interrupted, StudyError
from autokd.execution.executor import Outcome, RungJob, Stop, job_to_plain, outcome_from_plain

log = logging.getLogger("autokd")

COMMAND = (sys.executable, "-m", "autokd.execution.worker")
LEASE = 300.0
"""Seconds without a sign of life (there is one every second, at a batch's end) after which a worker is given up."""
ATTEMPTS = 2
"""Workers that a job may cost before its trial counts as failed."""
STARTS = 3
"""Workers in a row that do not even start, after which the search gives up."""
POLL = 0.2


@dataclass
class _Task:
    job: RungJob
    attempts: int = 0
    begun: bool = False
    outcome: Outcome | None = None
    left: bool = False


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    index: int
    task: _Task | None = None
    ready: bool = False
    sign: float = 0.0
    buffer: bytes = b""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How worker processes are started and watched.

    Args:
      command: that starts one.
      log_file: what they print; None: it is lost.
      lease: seconds without a sign of life after which one is given up.
      clock: seconds that never go back.
    """

    command: Sequence[str] = COMMAND
    log_file: Path | None = None
    lease: float = LEASE
    clock: Callable[[], float] = time.monotonic


class WorkerExecutor:
    """Trains in worker processes on this machine; they start when there is work for them.

    Args:
      setup: what a worker needs, as plain data; see `autokd.execution.setup.make_setup`.
      workers: their number.
      stop: what the user wants.
      counts: of the teacher bank; the workers' are added to it.
      profile: the workers' seconds are added to it.
      launch: how they are started and watched.
    """

    def __init__(
        self,
        setup: Mapping[str, Any],
        workers: int,
        *,
        stop: Stop | None = None,
        counts: Counts | None = None,
        profile: Profile | None = None,
        launch: Launch | None = None,
    ) -> None:
        self._setup = dict(setup)
        self.capacity = workers
        self.stop = stop or Stop()
        self._counts = counts or Counts()
        self._profile = profile or Profile()
        self._launch = launch or Launch()
        self._tasks: deque[_Task] = deque()
        self._workers: list[_Worker | None] = [None] * workers
        self._selector = selectors.DefaultSelector()
        self._failed_starts = 0
        self._told_to_leave = False

    def submit(self, job: RungJob) -> None:
        """Add a job to those that wait, and give it to a worker that is idle."""
        self._tasks.append(_Task(job))
        self._dispatch()

    def collect(self) -> Outcome:
        """Wait for the oldest job and return its outcome; see `autokd.execution.executor.Executor`.

        Raises:
          StudyError: workers do not start, or cannot take part.
        """
        oldest = self._tasks[0]
        while oldest.outcome is None:
            if oldest.left or (self.stop.draining and not oldest.begun):
                raise Interrupted
            self._poll()
        self._tasks.popleft()
        return oldest.outcome

    def close(self) -> None:
        """End the workers; what they were training is lost."""
        for worker in filter(None, self._workers):
            _kill(worker)
            self._forget(worker)
        self._selector.close()

    def _dispatch(self) -> None:
        """Give waiting jobs to idle workers, oldest first."""
        if self.stop.draining:
            return
        waiting = [task for task in self._tasks if not task.begun]
        for index, task in zip([i for i in range(self.capacity) if self._idle(i)], waiting, strict=False):
            self._give(self._workers[index] or self._start(index), task)

    def _idle(self, index: int) -> bool:
        worker = self._workers[index]
        return worker is None or worker.task is None

    def _start(self, index: int) -> _Worker:
        threads = str(self._setup["threads"])
        with (self._launch.log_file or Path(os.devnull)).open("ab") as output:
            process = subprocess.Popen(
                self._launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
                start_new_session=True,  # Ctrl-C is the coordinator's; and the whole group can be killed
            )
        worker = _Worker(process, index, sign=self._launch.clock())
        self._workers[index] = worker
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        _send(worker, {**self._setup, "index": index})
        return worker

    def _give(self, worker: _Worker, task: _Task) -> None:
        worker.task, task.begun, worker.sign = task, True, self._launch.clock()
        _send(worker, {"job": job_to_plain(task.job)})

    def _poll(self) -> None:
        """Wait a little for news, and act on what there is."""
        if self.stop.leaving and not self._told_to_leave:
            self._told_to_leave = True
            for worker in filter(None, self._workers):
                _send(worker, {"leave": True})
        for key, _ in self._selector.select(POLL):
            self._read(key.data, key.fileobj)  # type: ignore[arg-type]
        for worker in filter(None, list(self._workers)):
            lease = (
                self._launch.lease if worker.ready else max(self._launch.lease, LEASE)
            )  # loading data takes its time
            if worker.task is not None and self._launch.clock() - worker.sign > lease:
                worker.why = f"it gave no sign of life for {lease:g} s"
                _kill(worker)
                self._lost(worker)
        self._dispatch()

    def _read(self, worker: _Worker, pipe: IO[bytes]) -> None:
        content = pipe.read() or b""
        lines = (worker.buffer + content).split(b"\n")
        worker.buffer = lines.pop()
        for line in lines:
            worker.sign = self._launch.clock()
            self._heard(worker, json.loads(line))
        if not content:
            self._lost(worker)

    def _heard(self, worker: _Worker, message: Mapping[str, Any]) -> None:
        if "refused" in message:
            raise StudyError(f"a worker cannot take part: {message['refused']}")
        worker.ready, self._failed_starts = True, 0
        if "bank" in message:
            self._counts.add(message["bank"])
            self._profile.add(message["profile"])
        if "left" in message or "outcome" in message:
            assert worker.task is not None
            task, worker.task = worker.task, None
            task.left = "left" in message
            task.outcome = None if task.left else outcome_from_plain(message["outcome"])

    def _lost(self, worker: _Worker) -> None:
        """A worker is gone: count its job's attempt, or its own where it did not even start."""
        code = worker.process.wait()
        self._forget(worker)
        why = worker.why or describe_exit(code)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise StudyError(
                    f"workers do not start ({why}); what they say is in {self._launch.log_file or 'no file'}"
                )
        task = worker.task
        if task is None:
            return
        task.begun = False
        task.attempts += worker.ready
        log.warning("a worker was lost (%s); its job is %s", why, "tried again" if task.attempts < ATTEMPTS else "over")
        if task.attempts >= ATTEMPTS:
            kind = "timeout" if worker.why else "out_of_memory" if code == -signal.SIGKILL else "crash"
            task.begun = True
            task.outcome = Outcome(failure={"kind": kind, "reason": f"it cost {ATTEMPTS} workers: {why}"})

    def _forget(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None and worker.process.stdin is not None
        self._selector.unregister(worker.process.stdout)
        worker.process.stdout.close()
        with contextlib.suppress(OSError):
            worker.process.stdin.close()
        self._workers[worker.index] = None


def describe_exit(code: int) -> str:
    """Say in words how a process ended."""
    if code >= 0:
        return f"it ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}" + (", as the system does where memory runs out" if name == "SIGKILL" else "")


def _send(worker: _Worker, message: Mapping[str, Any]) -> None:
    assert worker.process.stdin is not None
    with contextlib.suppress(OSError):  # it is gone: that is noticed where its output ends
        worker.process.stdin.write(json.dumps(message).encode() + b"\n")
        worker.process.stdin.flush()


def _kill(worker: _Worker) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
