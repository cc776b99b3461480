"""Records the table that searches are replayed on: every pipeline of the crossing, three seeds, three rungs.

    OMP_NUM_THREADS=1 python -m benchmarks.replay.record --dataset digits
    OMP_NUM_THREADS=1 python -m benchmarks.replay.record --dataset fashion_mnist --data-dir DIR

One run to the horizon gives all its rungs. Runs are appended to a file as they end and are not repeated, so the command
goes on where it was stopped; `--part 1/4` records a quarter of the runs. At its end the runs become a Parquet file.
Scores are on the validation part, seconds are CPU time of the process on one thread. The teacher's outputs are there
before the first run. `--decaying 60` records instead, for so many random pipelines and one seed, runs at a constant
rate with a decaying branch at each rung; `--branches 900`, for so many runs, what side branches off the same runs are
worth, and the runs themselves after each epoch.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from autokd.engine.context import TrainContext
from autokd.errors import TrialFailure
from autokd.search.limits import pipeline_cost
from benchmarks.common import machine
from benchmarks.replay.crossing import ALL, AUGMENTS, Names, plain
from benchmarks.replay.training import SETTINGS, Branched, Scored, context, train, train_branches, train_decaying

TABLE = Path(__file__).parent / "table"
SEEDS = 3
Training = Callable[[TrainContext, Names, int, Sequence[int]], Iterator[Scored | Branched]]


def main() -> None:
    """Run what is missing; write the table when nothing is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", choices=sorted(SETTINGS), required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--part", default="1/1", help="which part of the runs, and of how many: 1/4")
    parser.add_argument("--decaying", type=int, help="pipelines to record with a decaying branch at each rung")
    parser.add_argument("--branches", type=int, help="runs to record with side branches at the rungs below the top")
    parser.add_argument("--table", type=Path, default=TABLE, help="folder of the tables")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = map(int, asked.part.split("/"))
    asked.table.mkdir(parents=True, exist_ok=True)
    way, training = _way(asked)
    stem = asked.dataset + way + (f"-{part}" if parts > 1 else "")
    file = asked.table / f"{stem}.jsonl"
    record(asked, training, _wanted(asked.decaying or asked.branches)[part - 1 :: parts], file)
    write(file, asked.table / f"{stem}.parquet")
    print(f"{machine()}; {asked.dataset}: {SETTINGS[asked.dataset]}")


def _way(asked: argparse.Namespace) -> tuple[str, Training]:
    """How to train, and the end of the file's name that tells it."""
    if asked.decaying:
        return "-decaying", train_decaying
    return ("-branches", train_branches) if asked.branches else ("", train)


def _wanted(runs: int | None) -> list[tuple[Names, int]]:
    """Pipelines and seeds in an order in which what the machine does meanwhile falls on all alike."""
    order = random.Random(0)
    drawn = [(names, seed) for seed in range(SEEDS) for names in order.sample(ALL, len(ALL))]
    return drawn[:runs]


def record(asked: argparse.Namespace, training: Training, wanted: list[tuple[Names, int]], file: Path) -> None:
    """Append the runs that are not in the file."""
    done = {(Names(*line["pipeline"]), line["seed"]) for line in _lines(file)}
    missing = [run for run in wanted if run not in done]
    if not missing:
        return
    setting = SETTINGS[asked.dataset]
    study = context(asked.dataset, asked.data_dir, asked.table / f"{asked.dataset}.teacher.pt")
    for augment in AUGMENTS:  # the teacher's outputs are there before anything is timed
        for loss in ("kd", "hint"):
            list(training(study, Names("cnn4", augment, loss, "0.05"), 0, setting.rungs))
    for names, seed in missing:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(_run(study, training, names, seed, setting.rungs)) + "\n")


def _run(study: TrainContext, training: Training, names: Names, seed: int, rungs: Sequence[int]) -> dict[str, Any]:
    assert study.teacher is not None
    scored, failure = [], None
    try:
        for found in training(study, names, seed, rungs):
            scored.append(found._asdict())
    except TrialFailure as error:
        failure = error.reason
    cost = pipeline_cost(plain(names), study.data.task, study.teacher.offers)
    return {"pipeline": names, "seed": seed, **cost._asdict(), "rungs": scored, "failure": failure}


def write(file: Path, table: Path) -> None:
    """Write a file of runs as a table, one row a rung; a rung that was not reached has no score."""
    rows = [row for line in _lines(file) for row in _rows(line)]
    pd.DataFrame(rows).to_parquet(table, index=False)
    print(f"{table}: {len(rows)} rows, {table.stat().st_size / 1e6:.2f} MB")


def _rows(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = Names(*line["pipeline"])._asdict()
    about = {**names, "seed": line["seed"], "params": line["params"], "macs": line["macs"], "failure": line["failure"]}
    for rung, scored in enumerate(line["rungs"]):
        branches = scored.pop("branches", {})
        of = {f"{what}_{share}": value for share, found in branches.items() for what, value in found.items()}
        yield {**about, "rung": rung, **scored, **of}
    if line["failure"] is not None:
        yield {**about, "rung": len(line["rungs"])}


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # a line that was cut short
        file.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


if __name__ == "__main__":
    main()
