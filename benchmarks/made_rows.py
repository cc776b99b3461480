"""What rows that are made of training rows bring to distillation from a table: swap noise and MUNGE, at equal steps.

    OMP_NUM_THREADS=1 python -m benchmarks.made_rows --data DIR [--sets adult letter] [--seeds 3]
    OMP_NUM_THREADS=1 python -m benchmarks.made_rows --table

DIR holds the real sets in folders (adult, letter). 500 rows train, or all that are left beside validation and test.
The teacher is autokd's default one on the same rows and labels, the best on validation of boosting, a forest and an
ensemble of perceptrons; the student is a perceptron of two layers of 64. Five rows are made for each training row, at
most 20,000, and three quarters of each batch are of these; all runs of a size are 50,000 samples long, 300,000 for all
rows. KD has the settings of the recipe by hand with AdamW.

Each run is appended to a file (`--runs`, by default `benchmarks/made_rows.jsonl`) with which test rows it has right,
and is not repeated; the table is made from the file. Nothing is chosen by test, of which 4,000 rows are read. An
interval counts the spread of seeds and the finite test set. About 20 CPU minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autokd import batching
from autokd.data import DataOptions, Dataset, load
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.spec import from_plain
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from benchmarks import boosted, common
from benchmarks.losses import append, lines
from benchmarks.table_students import packed, right_of, unpacked
from benchmarks.unlabelled import apart

CPU = torch.device("cpu")
SETS = ("adult", "letter")
SIZES: Mapping[int | None, int] = {500: 50_000, None: 300_000}
"""Rows that train, None for all, and the samples of a run."""
HELD, TEST, SHARE = 500, 4000, 0.75
ALONE, KD, TEACHER = "student alone", "KD", "teacher"
MADE: Mapping[str, str | None] = {ALONE: None, KD: None, "KD, swap noise": "swap_noise", "KD, MUNGE": "munge"}
"""By arm, how rows are made."""
Key = tuple[str, int | None, str, int]
RECIPE = {
    "format": 1,
    "student": {"use": "mlp", "depth": 2, "width": 64},
    "augment": {"use": "none"},
    "optimizer": {"use": "adamw", "learning_rate": 5e-3},
    "schedule": {"use": "cosine"},
    "batch_size": 64,
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/made_rows.jsonl"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        for name in [] if asked.table else asked.sets:
            file = Path(folder) / f"{name}.csv"
            getattr(boosted, name)(asked.data).to_csv(file, index=False)
            for size in SIZES:
                run_missing(name, size, file, asked)
    print(f"{common.machine()}\n\n{table(lines(asked.runs))}")


def run_missing(name: str, size: int | None, file: Path, asked: Any) -> None:
    """Train and test what the file of runs does not have of a set at a size."""
    done = {(run["arm"], run["seed"]) for run in lines(asked.runs) if (run["set"], run["rows"]) == (name, size)}
    options = DataOptions(target="label", limit_train=size)
    teacher = None
    for arm, made in MADE.items():
        data = load(file, dataclasses.replace(options, made_rows=made))
        data = dataclasses.replace(data, validation=batching.take_split(data.validation, slice(HELD)))
        teacher = teacher or default_teacher.obtain(data, Effort(40), CPU)
        context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())
        if arm == KD and (TEACHER, 0) not in done:
            test = to_device(tested_rows(data), data.task, CPU)
            right = right_of(predict_teacher(teacher, test), test.labels)
            append(asked.runs, {"set": name, "rows": size, "arm": TEACHER, "seed": 0, "right": packed(right)})
        for seed in range(asked.seeds):
            if (arm, seed) not in done:
                began = time.process_time()
                right = trained(context, arm, seed, SIZES[size])
                append(asked.runs, {"set": name, "rows": size, "arm": arm, "seed": seed, "right": packed(right)})
                spent = time.process_time() - began
                print(f"{name}, {size}, {arm}, {seed}: {right.mean():.3f}, {spent:.1f} CPU seconds", flush=True)


def trained(context: TrainContext, arm: str, seed: int, samples: int) -> NDArray[np.bool_]:
    """Train a student for about so many samples and return which test rows it has right."""
    weight = 1.0 if arm == ALONE else 0.1
    losses: dict[str, Any] = {"ce": {"use": "ce", "weight": weight, "label_smoothing": 0.0}}
    losses |= {} if arm == ALONE else {"kd": {"use": "kd", "weight": 0.9, "temperature": 4.0}}
    spec = from_plain({**RECIPE, "losses": losses, "unlabelled": SHARE if MADE[arm] else 0.0})
    length = round(samples / len(context.data.train)) * len(context.data.train)
    _, checkpoint = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=length, until=length))
    network = build_student(spec.student, context.data.task)
    network.load_state_dict(checkpoint["student"])
    test = to_device(tested_rows(context.data), context.data.task, CPU)
    return right_of(predict(network, test), test.labels)


def tested_rows(data: Dataset) -> Any:
    """Return the test rows that are read."""
    return batching.take_split(data.read_test(), slice(TEST))


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as a Markdown table: accuracy on test, and the difference to KD on training rows alone."""
    tested = {(run["set"], run["rows"], run["arm"], run["seed"]): unpacked(run["right"]) for run in runs}
    cells = [(name, size) for name in SETS for size in SIZES if (name, size, TEACHER, 0) in tested]
    heads = [
        f"{name}, {f'{size:,}' if size else 'all'} rows ({100 * tested[name, size, TEACHER, 0].mean():.1f} %)"
        for name, size in cells
    ]
    text = [f"| student | {' | '.join(heads)} |", f"|---{'|---' * len(cells)}|"]
    return "\n".join([*text, *(f"| {arm} | {' | '.join(_cell(tested, *at, arm) for at in cells)} |" for arm in MADE)])


def _cell(
    tested: Mapping[tuple[str, int | None, str, int], NDArray[np.float64]], name: str, size: int | None, arm: str
) -> str:
    own, base = ([right for key, right in tested.items() if key[:3] == (name, size, each)] for each in (arm, KD))
    if len(own) < 2 or len(base) < 2:
        return "–"
    accuracy = [100 * float(right.mean()) for right in own]
    spread = f"{statistics.mean(accuracy):.1f} ± {statistics.stdev(accuracy):.1f}"
    difference, margin = apart(own, base)
    return (
        spread if arm == KD else f"{spread}, {difference:+.1f} [{difference - margin:+.1f}, {difference + margin:+.1f}]"
    )


if __name__ == "__main__":
    main()
