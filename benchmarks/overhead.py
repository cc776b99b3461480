"""What a search costs beside training its trials, and whether its memory grows.

    OMP_NUM_THREADS=1 python -m benchmarks.overhead [--seconds 2] [--timed 10] [--trials 10 500] [--short 200]

Overhead: the explore stage on scikit-learn's digits, with everything that `autokd search` has around it (sampler,
screening at each ask, teacher bank on disk, records flushed to disk, checkpoints, Optuna's mirror). Trials take about
two seconds of CPU time. For a study of 500 trials, 490 trials are written into the records first, then ten are run and
timed. What is not training is the time of explore less that of the rungs, as a share of wall time, which counts waiting
for the disk, and of CPU time, which a busy machine does not change.

Memory: resident memory of one process that runs 200 short trials, every twenty of them.

Each part runs in a process of its own. Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from autokd import data as autokd_data
from autokd.engine.context import TrainContext
from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.execution.run_job import run_job
from benchmarks import common
from benchmarks.studies import Study, add_trials, prepare

BAR = 0.05
SAMPLED_EVERY = 20
EPOCHS = 30
"""Epochs that made-up trials tell of."""


class Timed:
    """An executor that adds up what its rungs take, in wall and CPU seconds.

    Args:
      inner: the executor.
    """

    capacity = 1

    def __init__(self, inner: Executor) -> None:
        self.wall = self.cpu = 0.0
        self._inner = inner

    def submit(self, job: RungJob) -> None:
        """Add a job."""
        self._inner.submit(job)

    def collect(self) -> Outcome:
        """Train the job."""
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = self._inner.collect()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return outcome

    def close(self) -> None:
        """There is nothing to let go of."""


def main() -> None:
    """Run each part in a process of its own and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a timed trial, about")
    parser.add_argument("--timed", type=int, default=10, help="trials that are timed")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 500], help="sizes of the studies")
    parser.add_argument("--short", type=int, default=200, help="short trials whose memory is watched")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(memory(asked) if asked.part == "memory" else overhead(asked, int(asked.part))))
        return
    print(common.machine())
    print(f"\nOverhead of explore, {asked.timed} trials timed; bar: at most {100 * BAR:.0f} % is not training")
    print("| trials in the study | CPU seconds a trial | not training, of wall time | search | storage | of CPU time |")
    print("|---|---|---|---|---|---|")
    for trials in asked.trials:
        found = _own_process(str(trials))
        shares = " | ".join(f"{100 * found[name]:.1f} %" for name in ("wall", "search", "storage", "cpu"))
        print(f"| {trials} | {found['seconds']:.2f} | {shares} |", flush=True)
    samples = _own_process("memory")
    print(f"\nMemory over {asked.short} short trials in one process; bar: within 5 % of that at {SAMPLED_EVERY}")
    print("| trials | resident MB | peak MB | peak, of that at the first |\n|---|---|---|---|")
    for number, resident, peak in samples:
        print(f"| {number} | {resident:.0f} | {peak:.0f} | {peak / samples[0][2]:.3f} |")


def _own_process(part: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.overhead", *sys.argv[1:], "--part", part]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def overhead(asked: argparse.Namespace, trials: int) -> dict[str, float]:
    """Return the CPU seconds of a trial, and the shares of explore's time that are not training."""
    with tempfile.TemporaryDirectory() as folder:
        study = prepare(Path(folder), autokd_data.load("digits"), "digits", [EPOCHS])
        add_trials(study, trials - asked.timed)
        epochs = _epochs(study, range(trials - asked.timed, trials), asked.seconds)
        session, trained = study.session, Timed(study.session.executor)
        explorer = dataclasses.replace(study.explorer, executor=trained, rung_epochs=[epochs])
        session.on_change()  # the mirror of trials that were there before
        parts = session.context.profile.seconds
        parts.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        explorer.run(trials, lambda seconds: True, session.on_change)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {
            "seconds": trained.cpu / asked.timed,
            "wall": 1 - trained.wall / wall,
            "search": parts["search"] / wall,
            "storage": parts["storage"] / wall,
            "cpu": 1 - trained.cpu / cpu,
        }


def memory(asked: argparse.Namespace) -> list[tuple[int, float, float]]:
    """Return (trials so far, resident MB, peak MB so far), every twenty short trials."""
    process = psutil.Process()
    samples: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = autokd_data.load("digits", autokd_data.DataOptions(limit_train=256))
        study = prepare(Path(folder), data, "digits", [2])

        def changed() -> None:
            study.session.on_change()
            over = sum(1 for trial in study.session.records.trials.values() if trial.rungs or trial.failure)
            if over and over % SAMPLED_EVERY == 0 and (not samples or samples[-1][0] != over):
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
                samples.append((over, process.memory_info().rss / 1e6, peak * 1.024))

        study.explorer.run(asked.short, lambda seconds: True, changed)
    return samples


def _epochs(study: Study, numbers: Sequence[int], seconds: float) -> int:
    """Epochs in which the trials of these numbers take so many seconds of CPU time on average."""
    proposals = [study.explorer.proposer.propose(number) for number in numbers]
    pipelines = [proposal.drawn.plain for proposal in proposals if proposal is not None]
    short, longer = (
        statistics.mean(_cpu_seconds(study.session.context, pipeline, epochs) for pipeline in pipelines)
        for epochs in (2, 6)
    )
    each = (longer - short) / 4
    return max(1, round(2 + (seconds - short) / each))


def _cpu_seconds(context: TrainContext, pipeline: Mapping[str, Any], epochs: int) -> float:
    """Seconds of CPU time in which a pipeline is trained, its teacher outputs being there."""
    job = RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=epochs, until=epochs)
    for _ in range(2):
        began = time.process_time()
        outcome = run_job(context, job)
        assert outcome.result is not None, outcome.failure
    return time.process_time() - began


if __name__ == "__main__":
    main()
