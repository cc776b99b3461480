"""Selections of training samples beside all of them, at the same number of samples seen, with and without a teacher.

    python -m benchmarks.selections --dataset fashion_mnist --data-dir DIR [--images 5000] [--epochs 6] [--seeds 3]

Teacher, student and recipe are those of `python -m benchmarks.losses`, and the losses cross-entropy and KD at their
default weights; the line "alone" is cross-entropy by itself on all samples. Each run is appended to a file (`--runs`,
by default `benchmarks/selections-DATASET.jsonl`) as it ends, and is not repeated; the table is made from the file.
Accuracy is on the official test split: nothing is chosen by it here. Of what is prepared the seconds are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from autokd import data as autokd_data
from autokd.engine.build import build_run
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.spec import component_to_plain, from_plain, make
from benchmarks import common, losses

ALONE, ALL = "student alone, all", "all"
ARMS: Mapping[str, Mapping[str, Any] | None] = {
    ALONE: None,
    ALL: None,
    "random_fraction 0.5": {"use": "random_fraction", "share": 0.5},
    "random_fraction 0.5, drawn once": {"use": "random_fraction", "share": 0.5, "redraw": False},
    "difference_sampling 0.5": {"use": "difference_sampling", "share": 0.5},
    "difference_sampling 0.5, of each class": {"use": "difference_sampling", "share": 0.5, "per_class": True},
    "difference_sampling 0.8": {"use": "difference_sampling", "share": 0.8},
    "difference_sampling, soft": {"use": "difference_sampling", "soft": True},
}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--teacher-epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=ARMS, help="these lines of the table alone")
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs = asked.runs or Path(f"benchmarks/selections-{asked.dataset}.jsonl")
    data = autokd_data.load(asked.dataset, autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    teacher = losses.benchmark_teacher(data, asked.teacher_epochs, runs.with_suffix(".teacher.pt"))
    context = TrainContext(data=data, teacher=teacher, device=torch.device("cpu"), bank=TeacherBank())
    done = {(run["arm"], run["seed"]) for run in losses.lines(runs)}
    for seed in range(asked.seeds):
        for arm in asked.only or ARMS:
            if (arm, seed) not in done:
                losses.append(runs, _run(context, arm, seed, asked.epochs))
    print(f"{common.machine()}; {asked.dataset}, {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    print(f"teacher: test accuracy {losses.accuracy_of_teacher(teacher, data):.4f}")
    print(table(losses.lines(runs)))


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table, in the order of the arms."""
    by_arm = {arm: found for arm in ARMS if (found := [run for run in runs if run["arm"] == arm])}
    whole = _mean(by_arm[ALL], "accuracy")
    rows = ["| samples | test accuracy, % | against all | answers of the teacher |", "|---|---|---|---|"]
    for arm, found in by_arm.items():
        scores = [100 * run["accuracy"] for run in found]
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        gain = round(statistics.mean(scores) - 100 * whole, 1) + 0.0  # not -0.0
        answers = f"{_mean(found, 'answers'):,.0f}"
        rows.append(f"| {arm} | {statistics.mean(scores):.1f}{spread} (n={len(scores)}) | {gain:+.1f} | {answers} |")
    return "\n".join(rows)


def _run(context: TrainContext, arm: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train an arm under a seed; the teacher's answers are counted as if no other run had asked for any."""
    plain = losses.pipeline(losses.ALONE if arm == ALONE else "kd")
    selection = ARMS[arm]
    if selection is not None:
        fields = {key: value for key, value in selection.items() if key != "use"}
        plain["selection"] = component_to_plain(make("selections", selection["use"], fields))
    spec = from_plain(plain)
    for prepared in prepare_artefacts(context, spec):
        print(f"prepared {prepared.component} in {prepared.seconds:.1f} seconds", flush=True)
    context.bank.counts.take()
    samples = epochs * len(context.data.train)
    began = time.process_time()
    _, trained = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=samples, until=samples))
    seconds = time.process_time() - began
    counts = context.bank.counts
    answers = build_run(context, spec, samples).selection.size * (counts.computed + counts.hits)
    accuracy = losses.accuracy_of(trained, context)
    print(f"{arm}, seed {seed}: {100 * accuracy:.1f} % in {seconds:.1f} CPU seconds", flush=True)
    return {"arm": arm, "seed": seed, "accuracy": accuracy, "seconds": seconds, "answers": answers}


def _mean(runs: list[dict[str, Any]], key: str) -> float:
    return float(statistics.mean(run[key] for run in runs))


if __name__ == "__main__":
    main()
