"""What the jobs of a search need beforehand is made by the process that submits them, once, and not by every worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from autokd.engine.context import TrainContext
from autokd.engine.prepare import Prepared, prepare_artefacts
from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.spec import from_plain

log = logging.getLogger("autokd")


@dataclass(frozen=True, kw_only=True)
class PreparingExecutor:
    """An executor whose jobs find what their components prepare.

    Args:
      inner: trains.
      context: of this process; artefacts lie where those who train look for them.
      record: called with each artefact that was made.
    """

    inner: Executor
    context: TrainContext
    record: Callable[[Prepared], None]

    @property
    def capacity(self) -> int:
        """Jobs that run at a time."""
        return self.inner.capacity

    def submit(self, job: RungJob) -> None:
        """Prepare what a job needs, and add it to those that wait."""
        try:
            for prepared in prepare_artefacts(self.context, from_plain(job.pipeline)):
                self.record(prepared)
        except Exception as error:  # the job meets it again, and is the one that fails, with the reason
            log.debug("what a job needs could not be prepared: %s", error)
        self.inner.submit(job)

    def collect(self) -> Outcome:
        """Return the outcome of the oldest job; see `autokd.execution.executor.Executor`."""
        return self.inner.collect()

    def close(self) -> None:
        """Let go of whatever trains."""
        self.inner.close()
