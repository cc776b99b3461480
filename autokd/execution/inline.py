"""Training in this process, one rung after another."""

from __future__ import annotations

from collections import deque

from autokd.engine.context import TrainContext
from autokd.engine.loop import OnEpoch
from autokd.engine.memory import bounded_memory, keep_freed_memory
from autokd.errors import Interrupted
from autokd.execution.executor import Outcome, RungJob, Stop
from autokd.execution.run_job import run_job


class InlineExecutor:
    """Trains in this process, one job at a time, when its outcome is collected.

    Args:
      context: data, teacher and device.
      on_epoch: called after each epoch.
      stop: what the user wants.
    """

    capacity = 1

    def __init__(self, context: TrainContext, on_epoch: OnEpoch | None = None, stop: Stop | None = None) -> None:
        if context.device.type == "cpu":
            keep_freed_memory()
        self.context = context
        self.on_epoch = on_epoch
        self.stop = stop or Stop()
        self._queue: deque[RungJob] = deque()

    def submit(self, job: RungJob) -> None:
        """Add a job to those that wait."""
        self._queue.append(job)

    def collect(self) -> Outcome:
        """Train the oldest job and return its outcome; see `autokd.execution.executor.Executor`."""
        if self.stop.draining:
            raise Interrupted
        with bounded_memory(self.context.device):
            return run_job(self.context, self._queue.popleft(), self.on_epoch, lambda: self.stop.leaving)

    def close(self) -> None:
        """There is nothing to let go of."""
