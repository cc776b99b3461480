"""How much sooner two workers finish the same trials than one, on one machine.

    OMP_NUM_THREADS=1 python -m benchmarks.scaling [--workers 1 2] [--slots 2] [--trials 24] [--epochs 54] [--rounds 2]

`autokd search` on scikit-learn's digits with the shipped space of their own and a short confirm stage, trials on one
thread each, the same slots for all, so that all try the same trials; the scores are compared. The first search is not
counted: it trains the teacher and fills the teacher bank. Then the numbers of workers take turns, forwards and
backwards. Wall seconds of baselines, the measurement of the noise and explore, the start of the workers included, from
the study's own records. Run it on a machine that does nothing else. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml

from autokd.search.explore.stages import Baselines, Explore
from autokd.search.seed_noise import SeedNoise
from autokd.space import find
from autokd.study.records import Records
from autokd.study.store import StudyStore
from benchmarks import common

BAR = 1.7
SHORT = {"finalists": 2, "select_seeds": 2, "claim_seeds": 2}
"""A confirm stage that takes no time: only explore is compared."""
STAGES = (Baselines.name, SeedNoise.name, Explore.name)
"""Whose seconds are compared."""


def main() -> None:
    """Run the searches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers to compare; the first is 1.00")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=54)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{common.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "space.yaml"
        space.write_text(yaml.safe_dump(shortened(asked.trials, asked.epochs)), encoding="utf-8")
        expected = scores(search(Path(folder), space, asked, asked.workers[-1]))
        seconds: dict[int, list[float]] = {workers: [] for workers in asked.workers}
        for round_ in range(asked.rounds):
            for workers in asked.workers if round_ % 2 == 0 else reversed(asked.workers):
                records = search(Path(folder), space, asked, workers)
                assert scores(records) == expected, "workers must not change what is tried"
                seconds[workers].append(sum(records.seconds[stage] for stage in STAGES))
    print(f"\n{asked.trials} trials, {asked.slots} slots, explore stage; bar: {BAR} for two workers")
    _print_table(seconds)


def _print_table(seconds: dict[int, list[float]]) -> None:
    """Print the seconds by number of workers; the first number is the one to compare with."""
    print("| workers | seconds, median | all | times sooner |\n|---|---|---|---|")
    median = {workers: statistics.median(values) for workers, values in seconds.items()}
    alone = next(iter(median.values()))
    for workers, values in seconds.items():
        sooner = alone / median[workers]
        print(f"| {workers} | {median[workers]:.1f} | {', '.join(f'{v:.1f}' for v in values)} | {sooner:.2f} |")


def shortened(trials: int, epochs: int) -> dict[str, Any]:
    """Return the space of the digits with so many trials of so many epochs, and hardly any confirm stage."""
    space: dict[str, Any] = yaml.safe_load(find("digits")[0])
    return {**space, "budget": {**space["budget"], **SHORT, "trials": trials, "epochs": epochs}}


def search(folder: Path, space: Path, asked: argparse.Namespace, workers: int) -> Records:
    """Search anew in a process of its own; return the study's records."""
    options = {"dataset": "digits", "space": space, "workers": workers, "slots": asked.slots, "device": "cpu"}
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "autokd", "search", *given, "--study", "scaling", "--cold", "--fresh", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AUTOKD_CACHE": str(folder / "cache")}
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return StudyStore.open(folder / "studies" / "scaling").records


def scores(records: Records) -> list[list[float]]:
    """Return the scores of all trials, rung by rung."""
    return [[rung.score for rung in trial.rungs] for trial in records.trials.values()]


if __name__ == "__main__":
    main()
