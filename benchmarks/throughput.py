"""Rungs per second that one coordinator keeps up with where rungs cost nothing, with real worker processes.

    OMP_NUM_THREADS=1 python -m benchmarks.throughput [--workers 16] [--trials 300]

The workers are `autokd.execution.worker` processes as `autokd search --workers` starts them, on scikit-learn's digits,
but for training: a rung returns a made-up result at once. What is counted is all else: next job, records flushed to
disk, jobs and outcomes as JSON lines, checkpoints cleared, mirror, the progress display's numbers; as many rungs are
under way as there are workers. Twice: with random pipelines, and with the search's own asks (sampler and screening);
both for trials of ten rungs that all go to the top, and for a usual study (three rungs, a third goes on). All workers
have started before the clock does. Takes about two minutes on two cores; sixteen workers take about 5 GB of memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from autokd import data as autokd_data
from autokd.engine.context import TrainContext
from autokd.execution import worker
from autokd.execution.executor import Outcome, RungJob
from autokd.execution.setup import make_setup
from autokd.execution.workers import Launch, WorkerExecutor
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposal, Proposer
from autokd.seeds import derive
from autokd.types import RungResult
from benchmarks import common, studies

BAR = 50.0
SHAPES = {"ten rungs, all go on": (tuple(range(1, 11)), 1), "three rungs, a third goes on": ((1, 3, 9), 3)}
"""Epochs at the end of each rung, and eta."""


class Blind(Proposer):
    """Proposes random pipelines inside the budget."""

    def propose(self, number: int) -> Proposal:
        """Return a random pipeline."""
        rng = np.random.default_rng(derive(self.seed, "random", number))
        drawn, _ = next(studies.feasible_draws(self, rng))
        return Proposal("random", drawn)


def main() -> None:
    """Print the table, or be a worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--be-worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.be_worker:
        with mock.patch.object(worker, "run_job", made_up):
            worker.main()
        return
    print(common.machine())
    print(f"\n{asked.trials} trials, {asked.workers} workers; bar: {BAR:.0f} rungs per second")
    print("| trials | ask | rungs | rungs per second | of the coordinator's CPU time |\n|---|---|---|---|---|")
    for (shape, (rungs, eta)), kind in itertools.product(SHAPES.items(), (Blind, Proposer)):
        count, seconds, cpu = throughput(asked, kind, rungs, eta)
        ask = "the search's own" if kind is Proposer else "random"
        print(f"| {shape} | {ask} | {count} | {count / seconds:.0f} | {count / cpu:.0f} |", flush=True)


def throughput(
    asked: argparse.Namespace, kind: type[Proposer], rungs: tuple[int, ...], eta: int
) -> tuple[int, float, float]:
    """Return the number of rungs, and the seconds and CPU seconds that they took."""
    with tempfile.TemporaryDirectory() as folder:
        study = studies.prepare(Path(folder), autokd_data.load("digits"), "digits", rungs)
        proposer, context = study.explorer.proposer, dataclasses.replace(study.session.context, teacher=None)
        fields = {field.name: getattr(proposer, field.name) for field in dataclasses.fields(Proposer)}
        executor = WorkerExecutor(
            {**make_setup(context, {}, threads=1, workers=asked.workers), "memory": None},
            asked.workers,
            launch=Launch(
                command=(sys.executable, "-m", "benchmarks.throughput", "--be-worker"),
                log_file=study.session.store.path / "workers.log",
            ),
        )
        explorer = dataclasses.replace(
            study.explorer, proposer=kind(**fields), executor=executor, eta=eta, slots=asked.workers
        )
        changed = study.session.on_change
        try:
            explorer.run(asked.workers, lambda seconds: True, changed)  # all workers start
            before = _rungs(explorer)
            wall, cpu = time.perf_counter(), time.process_time()
            explorer.run(asked.workers + asked.trials, lambda seconds: True, changed)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        finally:
            executor.close()
        return _rungs(explorer) - before, wall, cpu


def made_up(context: TrainContext, job: RungJob, **ignored: Any) -> Outcome:
    """Return a result at once; its score depends on the job."""
    score = float(np.random.default_rng(job.seed + job.until).uniform(0.5, 0.9))
    curve = studies.made_up_curve(job.pipeline["losses"], score, range(job.until))
    return Outcome(result=RungResult(score, 1 - score, job.until, 1.0, tuple(curve)))


def _rungs(explorer: Explorer) -> int:
    return sum(len(trial.rungs) for trial in explorer.log.records.trials.values())


if __name__ == "__main__":
    main()
