"""What a search does between rungs, with trials that cost nothing, and how fast a long study goes on.

    OMP_NUM_THREADS=1 python -m benchmarks.coordinator [--trials 200 1000] [--timed 20] [--resumes 5]

One trial: the shipped image space on 32x32 images, a study of so many trials before it, all with ten rungs of one
epoch. A trial is one ask (sampler, screening) and ten reports (rungs), of which the last one tells its value. All that
`autokd search` has around them is there: records flushed to disk, checkpoints cleared, the mirror for Optuna's
dashboards, the progress display's numbers; training alone is left out. Optuna's own TPE on the same trials and space is
asked and told beside it, with its storages: there a trial is one ask with all suggestions, ten reports, each with the
question whether to prune, and one tell. Rounds of both alternate in one process.

Going on: seconds from opening such a study to the moment when the executor is waited for: records read, space resolved,
mirror written anew, trial asked and submitted; data, teacher and screener are there. Rungs of 3, 9 and 27 epochs with
their whole learning curves.

Each part runs in a process of its own. Takes about five minutes on two cores.

`--against TREE` compares with the version in another checkout instead; see `benchmarks.against`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from autokd.execution.executor import Outcome, RungJob
from autokd.search.explore.explorer import Explorer
from autokd.search.session import Session
from autokd.search.tpe.trials import as_frozen_trial, quiet_optuna
from autokd.types import RungResult
from benchmarks import against, common, studies
from benchmarks.replay.synthetic import Suggested

REPORTS = 10
RUNGS = (3, 9, 27)
BARS = {200: 0.15, 1000: 0.5}
"""Seconds of one trial, by the trials in the study."""
STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "memory": lambda folder: InMemoryStorage(),
    "journal file": lambda folder: JournalStorage(JournalFileBackend(str(folder / "optuna.log"))),
    "SQLite": lambda folder: RDBStorage(f"sqlite:///{folder / 'optuna.db'}"),
}


class Seconds(NamedTuple):
    """What one trial took: the ask, one report (the median), the last one (which tells), all together, of CPU time."""

    ask: float
    report: float
    tell: float
    total: float
    cpu: float


class Instant:
    """An executor that trains nothing; scores are random.

    Args:
      rung_epochs: epochs at the end of each rung.
    """

    capacity = 1

    def __init__(self, rung_epochs: tuple[int, ...]) -> None:
        self._begins = dict(zip(rung_epochs, (0, *rung_epochs), strict=False))
        self._rng = np.random.default_rng(1)
        self._jobs: deque[RungJob] = deque()

    def submit(self, job: RungJob) -> None:
        """Add a job."""
        self._jobs.append(job)

    def collect(self) -> Outcome:
        """Return the oldest job's outcome."""
        job = self._jobs.popleft()
        return Outcome(result=self.result(job.pipeline, job.until))

    def close(self) -> None:
        """There is nothing to let go of."""

    def result(self, pipeline: Mapping[str, Any], until: int) -> RungResult:
        """Return a made-up result of the rung that ends after so many epochs."""
        score = float(self._rng.uniform(0.5, 0.9))
        curve = studies.made_up_curve(pipeline["losses"], score, range(self._begins[until], until))
        return RungResult(score, 1 - score, until, 1.0, tuple(curve))


def main() -> None:
    """Run each part in a process of its own and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 1000], help="sizes of the studies")
    parser.add_argument("--timed", type=int, default=20, help="trials that are timed")
    parser.add_argument("--resumes", type=int, default=5, help="times that the largest study is gone on with")
    parser.add_argument("--against", type=Path, metavar="TREE", help="another version's checkout to compare with")
    parser.add_argument("--pairs", type=int, default=3, help="processes of each version, where two are compared")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        print(json.dumps(resumes(asked) if asked.part == "resume" else trials(asked, int(asked.part))))
        return
    print(common.machine())
    if asked.against:
        against.compare(asked)
        return
    _print_trials(asked)
    _print_resumes(asked)


def _print_trials(asked: argparse.Namespace) -> None:
    print(f"\nOne trial: an ask and {REPORTS} reports, the last of which tells; milliseconds, medians of {asked.timed}")
    print("| trials in the study | side | ask | a report | the last | together | CPU time | slowest | bar |")
    print("|---|---|---|---|---|---|---|---|---|")
    for number in asked.trials:
        bar = f"{1e3 * BARS[number]:.0f}" if number in BARS else ""
        for side, rows in _own_process(str(number)).items():
            taken = [Seconds(*row) for row in rows]
            medians = " | ".join(f"{1e3 * statistics.median(column):.1f}" for column in zip(*taken, strict=True))
            slowest = 1e3 * max(one.total for one in taken)
            print(f"| {number} | {side} | {medians} | {slowest:.0f} | {bar} |", flush=True)


def _print_resumes(asked: argparse.Namespace) -> None:
    seconds = _own_process("resume")
    print(f"\nGoing on with a study of {max(asked.trials)} trials, seconds, {asked.resumes} times; bar: 2")
    print(f"median {statistics.median(seconds):.2f}, all {', '.join(f'{one:.2f}' for one in seconds)}")


def _own_process(part: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.coordinator", *sys.argv[1:], "--part", part]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def trials(asked: argparse.Namespace, number: int) -> dict[str, list[Seconds]]:
    """Return what the trials after so many took, by side."""
    with tempfile.TemporaryDirectory() as folder:
        session, explorer = made_up(Path(folder), number, tuple(range(1, REPORTS + 1)))
        ranges = explorer.proposer.space.ranges()
        shown = [as_frozen_trial(ranges, trial, REPORTS - 1) for trial in session.records.trials.values()]
        sides = {"autokd": _ours(session, explorer)}
        for name, make in STORAGES.items():
            sides[f"Optuna, {name}"] = _optunas(make(Path(folder)), shown, explorer)
        taken: dict[str, list[Seconds]] = {side: [] for side in sides}
        for _, (side, one) in itertools.product(range(asked.timed), sides.items()):
            began = time.process_time()
            taken[side].append(next(one)._replace(cpu=time.process_time() - began))
        return taken


def resumes(asked: argparse.Namespace) -> list[float]:
    """Return the seconds in which the largest study is gone on with, several times."""
    with tempfile.TemporaryDirectory() as folder:
        number = max(asked.trials)
        session, explorer = made_up(Path(folder), number, RUNGS)
        explorer = dataclasses.replace(explorer, executor=Waiting())
        path = session.store.log.path
        content, seconds = path.read_bytes(), []
        for _ in range(asked.resumes):
            session.store.close()
            path.write_bytes(content)
            began = time.perf_counter()
            session, explorer = studies.reopened(session, explorer)
            try:
                explorer.run(number + 1, lambda seconds: True, session.on_change)
            except Waiting.Reached:
                seconds.append(time.perf_counter() - began)
        return seconds


class Waiting:
    """An executor that is left at the moment when its first outcome is waited for."""

    capacity = 1

    class Reached(Exception):
        """Nothing is left to do but to train."""

    def submit(self, job: RungJob) -> None:
        """Forget the job."""

    def collect(self) -> Outcome:
        """Leave."""
        raise self.Reached

    def close(self) -> None:
        """There is nothing to let go of."""


def made_up(folder: Path, number: int, rung_epochs: tuple[int, ...]) -> tuple[Session, Explorer]:
    """Return a study with so many made-up trials, all of which reached the top rung: its session and its explorer."""
    study = studies.prepare(folder, common.random_images(512, num_classes=10), "image", rung_epochs)
    executor = Instant(rung_epochs)
    explorer = dataclasses.replace(study.explorer, executor=executor, eta=1)
    rng = np.random.default_rng(0)
    drawn = itertools.islice(studies.feasible_draws(explorer.proposer, rng), number)
    with study.session.store.log.path.open("a", encoding="utf-8") as file:
        for trial, (pipeline, cost) in enumerate(drawn):
            common_keys = {"seed": trial, "pipeline": pipeline.plain, "params": pipeline.params, "cost": cost._asdict()}
            events = [{"event": "trial", "number": trial, "source": "random", **common_keys}]
            for rung, epochs in enumerate(rung_epochs):
                result = executor.result(pipeline.plain, epochs)
                events += [{"event": "promote", "number": trial, "rung": rung}] if rung else []
                told = {key: getattr(result, key) for key in ("score", "loss", "seconds", "curve")}
                events.append({"event": "rung", "number": trial, "rung": rung, "epochs": epochs, **told})
            file.writelines(json.dumps({**event, "time": 0.0}) + "\n" for event in events)
    return studies.reopened(study.session, explorer)


def _ours(session: Session, explorer: Explorer) -> Iterator[Seconds]:
    """Explore one trial after another."""
    session.on_change()  # the mirror of the trials that were there before
    while True:
        marks = [time.perf_counter()]

        def mark(marks: list[float] = marks) -> None:
            session.on_change()
            marks.append(time.perf_counter())

        explorer.run(len(session.records.trials) + 1, lambda seconds: True, mark)
        yield _seconds([marks[0], *marks[1::2]], ask=marks[1])


def _optunas(storage: BaseStorage, shown: list[optuna.trial.FrozenTrial], explorer: Explorer) -> Iterator[Seconds]:
    """Ask and tell Optuna one trial after another."""
    rng = np.random.default_rng(1)
    with quiet_optuna():
        sampler = optuna.samplers.TPESampler(seed=0)
        pruner = optuna.pruners.SuccessiveHalvingPruner()
        study = optuna.create_study(direction="maximize", storage=storage, sampler=sampler, pruner=pruner)
        study.add_trials(shown)
    while True:
        marks = [time.perf_counter()]
        trial = study.ask()
        explorer.proposer.space.draw(Suggested(trial), trial.number)
        asked = time.perf_counter()
        for step in range(REPORTS):
            trial.report(float(rng.uniform(0.5, 0.9)), step)
            trial.should_prune()
            marks.append(time.perf_counter())
        study.tell(trial, float(rng.uniform(0.5, 0.9)))
        marks[-1] = time.perf_counter()
        yield _seconds(marks, ask=asked)


def _seconds(marks: list[float], ask: float) -> Seconds:
    """Return what the parts of a trial took: it began at the first mark, was asked at `ask`; the rest are reports."""
    steps = np.diff([ask, *marks[1:]])
    return Seconds(ask - marks[0], float(np.median(steps[:-1])), float(steps[-1]), marks[-1] - marks[0], 0.0)


if __name__ == "__main__":
    main()
