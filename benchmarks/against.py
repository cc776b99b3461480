"""How long the coordinator's part of a trial takes in this version, over how long it takes in another one.

    OMP_NUM_THREADS=1 python -m benchmarks.coordinator --against TREE [--trials 200 1000] [--timed 20] [--pairs 3]

TREE is a checkout of the other version (`git worktree add --detach TREE COMMIT`). Each version makes the study and
explores with its own `benchmarks.coordinator`, in a fresh process, and both are to try the very same pipelines. They
take turns trial by trial (theirs, ours, theirs, …), the other one waiting, so that whatever else the machine does falls
on both alike; a ratio is of one trial of each. Several pairs of processes make up for what differs from one process to
another, such as where things lie in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.table import Floats, interval

BAR = 1.05
"""Our seconds over theirs."""
ROOT = Path(__file__).parents[1]
WHAT = {"ask": "the ask", "total": "ask and reports", "cpu": "ask and reports, CPU time"}
SERVE = """
import json, sys, tempfile, time
from pathlib import Path
from benchmarks import coordinator as own

with tempfile.TemporaryDirectory() as folder:
    made_up = own.made_up(Path(folder), int(sys.argv[1]), tuple(range(1, own.REPORTS + 1)))
    trials, records = own._ours(*made_up), made_up[1].log.records
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        seconds = next(trials)._asdict()
        cpu, tried = time.process_time() - began, records.trials[max(records.trials)]
        print(json.dumps({**seconds, "cpu": cpu, "tried": tried.pipeline}), flush=True)
"""
"""Explores one trial for each line that it reads, in whichever version it runs."""


def compare(asked: argparse.Namespace) -> None:
    """Print the table.

    Args:
      asked: `against` (the other checkout), `trials` (sizes of the studies), `timed` (trials of each process), `pairs`
        (of processes).
    """
    print(f"\nOur time over theirs, {asked.pairs} x {asked.timed} trials in turn; milliseconds; bar: {BAR}")
    print("| trials in the study | what | theirs | ours | ratio, median (95 %) | of each pair of processes |")
    print("|---|---|---|---|---|---|")
    for number in asked.trials:
        taken = np.stack([_pair(asked.against.resolve(), number, asked.timed) for _ in range(asked.pairs)])
        for index, what in enumerate(WHAT.values()):
            theirs, ours = taken[:, :, 0, index], taken[:, :, 1, index]
            ratios = ours / theirs
            low, high = interval(ratios.ravel(), np.median)
            each = ", ".join(f"{ratio:.3f}" for ratio in np.median(ratios, axis=1))
            medians = f"{1e3 * np.median(theirs):.1f} | {1e3 * np.median(ours):.1f}"
            print(f"| {number} | {what} | {medians} | {np.median(ratios):.3f} ({low:.3f} to {high:.3f}) | {each} |")


def _pair(tree: Path, number: int, timed: int) -> Floats:
    """Seconds [trial, theirs and ours, what] of a process of each version."""
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(_served(place, number)) for place in (tree, ROOT)]
        for side in sides:
            _answer(side)
        taken = []
        for _ in range(timed):
            theirs, ours = (_ask(side) for side in sides)
            assert theirs["tried"] == ours["tried"], "the two versions must try the same pipelines"
            taken.append([[answer[what] for what in WHAT] for answer in (theirs, ours)])
        return np.array(taken)


@contextlib.contextmanager
def _served(tree: Path, number: int) -> Iterator[subprocess.Popen[str]]:
    """A process of the version in a folder, on a study of so many trials."""
    command = [sys.executable, "-c", SERVE, str(number)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _ask(side: subprocess.Popen[str]) -> Any:
    assert side.stdin is not None
    side.stdin.write("\n")
    side.stdin.flush()
    return _answer(side)


def _answer(side: subprocess.Popen[str]) -> Any:
    assert side.stdout is not None
    return json.loads(side.stdout.readline())
