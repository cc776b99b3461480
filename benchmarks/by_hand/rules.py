"""Which rules are worth having, and in which order: all of a crossing, trained on the development half.

    OMP_NUM_THREADS=1 python -m benchmarks.by_hand.rules --data DIR --sets letter adult --seeds 0 1
    python -m benchmarks.by_hand.rules --report

The crossing is losses x optimizer x augmentation, on the largest student of the default family, at each set's full
length. Runs are kept in `records/rules.jsonl` and not made again. The report has the mean validation score of each rule
on each set, in the order in which `autokd.recipes.pick.greedy_order` takes them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.recipes.apply import portfolio
from autokd.recipes.pick import greedy_order
from autokd.recipes.records import RunRow, append_row, read_rows
from autokd.recipes.rules import LIGHT, NONE, Rule
from autokd.seeds import derive
from autokd.spec import fingerprint
from benchmarks.by_hand import answers
from benchmarks.by_hand.bench import Bench, bench, full_length
from benchmarks.by_hand.sets import SETS

FILE = answers.RECORDS / "rules.jsonl"
CE: Mapping[str, Any] = {"weight": 1.0, "label_smoothing": 0.0}
DKD: Mapping[str, Any] = {"weight": 1.0, "temperature": 4.0, "alpha": 1.0}
LOSSES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "kd": {"ce": {**CE, "weight": 0.1}, "kd": {"weight": 0.9, "temperature": 4.0}},
    "alone": {"ce": CE},
    "dist": {"ce": CE, "dist": {"weight": 1.0, "temperature": 4.0, "beta": 1.0, "gamma": 1.0}},
    "wttm": {"ce": CE, "wttm": {"weight": 1.0, "gamma": 0.2}},
    "dkd": {"ce": CE, "dkd": {**DKD, "beta": 8.0}},
    "simkd": {"ce": CE, "simkd": {"weight": 1.0}},
    "lelp": {"ce": CE, "lelp": {"weight": 1.0}},
    "dkd-1": {"ce": CE, "dkd": {**DKD, "beta": 1.0}},
}
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "": {"use": "sgd", "learning_rate": 0.1},
    "-adamw": {"use": "adamw", "learning_rate": 5e-3},
}
AUGMENTS = {"": LIGHT, "-raw": NONE}
HEADS: Mapping[str, Mapping[str, Any]] = {"simkd": {"use": "simkd", "factor": 2}}


def crossing() -> list[Rule]:
    """Return all rules that are compared, named like those that there are."""
    return [
        Rule(
            name=loss + optimizer + augment,
            title="",
            losses=LOSSES[loss],
            optimizer=OPTIMIZERS[optimizer],
            augment=AUGMENTS[augment],
            head=HEADS.get(loss, {"use": "plain"}),
        )
        for loss, optimizer, augment in itertools.product(LOSSES, OPTIMIZERS, AUGMENTS)
    ]


def train(made: Bench, seed: int) -> None:
    """Train every rule on a set that is not recorded yet."""
    there = {(row.dataset, row.seed, fingerprint(dict(row.pipeline))) for row in read_rows(FILE)}
    setup, epochs = made.setup, made.epochs
    for recipe in portfolio(setup.space, setup.data.task, setup.offers, rules=crossing()).recipes:
        pipeline = recipe.drawn.plain
        if (made.wanted.name, seed, fingerprint(pipeline)) in there:
            continue
        views = derive(seed, "views")
        job = RungJob(pipeline=pipeline, seed=seed, view_seed=views, horizon=epochs, until=epochs)
        result = run_job(made.context, job).result
        row = made.row(
            "recipe",
            pipeline,
            recipe=recipe.rule.name,
            epochs=epochs,
            seed=seed,
            validation=0.0 if result is None else result.score,
            seconds=0.0 if result is None else round(result.seconds, 3),
        )
        append_row(FILE, row)
        print(row.dataset, row.recipe, seed, round(row.validation, 4), row.seconds, flush=True)


def report(found: Sequence[RunRow]) -> str:
    """Return the rules in greedy order, with their mean on each set in percent."""
    raw = [row for row in found if row.kind == "table"]  # nothing is augmented there, under either name
    rows = [*found, *(dataclasses.replace(row, recipe=f"{row.recipe}-raw") for row in raw)]
    names = list(dict.fromkeys(row.dataset for row in rows))
    lines = [f"| rule | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for rule in greedy_order(rows):
        means = [[row.validation for row in rows if (row.dataset, row.recipe) == (name, rule)] for name in names]
        cells = [f"{100 * statistics.fmean(scores):.1f}" if scores else "" for scores in means]
        lines.append(f"| `{rule}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files")
    parser.add_argument("--sets", nargs="+", choices=[name for name, each in SETS.items() if each.half == "dev"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--report", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed, name in [] if asked.report else itertools.product(asked.seeds, asked.sets):
        train(bench(name, asked.data, full_length(name), 0), seed)
    print(report(read_rows(FILE)))


if __name__ == "__main__":
    main()
