"""A search that starts from past studies beside the cold search of the benchmark by hand, at equal seconds.

    python -m benchmarks.knowledge.warm --data DIR [--sets letter crop] [--seeds 3]

The base is the recorded studies without those of the set's family. Both searches have 60 CPU seconds on tables and 180
on images, one thread and the same teacher; what they recommend is trained on the same fresh seeds, and then test is
read. The cold ones are read from that benchmark's records. Run it on a quiet machine: CPU seconds grow with the load.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from autokd.knowledge.base import write_base
from benchmarks.by_hand import answers
from benchmarks.by_hand.answers import Answer
from benchmarks.by_hand.figures import difference
from benchmarks.by_hand.report import interval
from benchmarks.by_hand.sets import SETS
from benchmarks.knowledge.live import FOLDER, right_of
from benchmarks.knowledge.records import FAMILIES, card_of

FILE, SIDE, COLD = "warm.jsonl", "warm", ("search", "after")
ONE = """
import sys
from pathlib import Path
from benchmarks.by_hand import clock
clock.count("cpu")
from benchmarks.knowledge.warm import search
search(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
"""
"""A process that does one search; its clock counts before autokd is imported."""


def main() -> None:
    """Run what is missing, each search in a process of its own, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files; without it nothing is run")
    parser.add_argument("--sets", nargs="*", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    there = {answer.unit for answer in answers.read(FOLDER)}
    for seed in range(asked.seeds if asked.data else 0):
        for name in asked.sets:
            if (name, SIDE, seed) not in there:
                command = [sys.executable, "-c", ONE, name, str(asked.data), str(seed)]
                subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    print(report(asked.sets))


def search(name: str, data: Path, seed: int) -> None:
    """Let a search recommend a pipeline, test that, and record it."""
    import torch

    from benchmarks.by_hand import bench, searching
    from benchmarks.by_hand.fresh import fresh_runs

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, bench.own_cache(Path(folder)):
        made = bench.bench(name, data, bench.full_length(name), seed)
        with past_of_others(made.wanted.family):
            found = searching.search(made, seed)
        tested = fresh_runs(made, found.candidate, seed, [])
    answer = Answer(
        set=name,
        side=SIDE,
        label="",
        seed=seed,
        recipe=found.candidate.recipe,
        pipeline=found.candidate.pipeline,
        epochs=made.epochs,
        runs=len(found.rows),
        seconds=round(found.seconds, 1),
        tested=tuple(each.tested for each in tested),
        notes=found.notes,
    )
    answers.append(FOLDER, FILE, answer.to_json())
    print(name, seed, answer.recipe, [round(100 * run.test, 2) for run in answer.tested], flush=True)


@contextmanager
def past_of_others(family: str) -> Iterator[None]:
    """Have searches start from the recorded studies of other families."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "base.parquet"
        cards = [card for name, own in FAMILIES.items() if own != family and (card := card_of(name)) is not None]
        write_base(file, cards)
        with mock.patch("autokd.knowledge.places.SHIPPED", file), mock.patch("benchmarks.by_hand.bench.COLD", {}):
            yield


def report(sets: list[str]) -> str:
    """Return test accuracies and differences as Markdown."""
    lines = ["| set | from the past | cold | difference | trials of each |", "|---|---|---|---|---|"]
    own = {answer.unit: answer for answer in answers.read(FOLDER)}
    others = {(answer.set, answer.side, answer.label, answer.seed): answer for answer in answers.read()}
    for name in sets:
        seeds = sorted(seed for known, side, seed in own if (known, side) == (name, SIDE))
        if len(seeds) < 2:
            continue
        both = [own[name, SIDE, seed] for seed in seeds], [others[name, *COLD, seed] for seed in seeds]
        mine, theirs = (right_of(found) for found in both)
        trials = [str(round(sum(answer.notes["trials"] for answer in found) / len(found), 1)) for found in both]
        cells = [f"{100 * right.mean():.2f}" for right in (mine, theirs)]
        lines.append(f"| {name} | {' | '.join(cells)} | {interval(difference(mine, theirs))} | {', '.join(trials)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
