"""Every distillation loss at its defaults, beside the student alone, at equal steps.

    python -m benchmarks.losses --dataset fashion_mnist --data-dir DIR [--images 5000] [--epochs 6] [--seeds 3]
    python -m benchmarks.losses --dataset cifar100 --data-dir DIR

The teacher is a residual network (depth 8, width 32) trained once on the same images; the student is one of width 8.
Cross-entropy has weight 1 in every run, and the loss its default weight. Crop and flip, SGD, cosine. Each run is
appended to a file (`--runs`, by default `benchmarks/losses-DATASET.jsonl`) as it ends, and is not repeated; the table
is made from the file. Accuracy is on the official test split: nothing is chosen by it here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from autokd import catalog
from autokd import data as autokd_data
from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import metrics, predict
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.train import build_student, train_rung
from autokd.engine.views import to_device
from autokd.models import NetworkTeacher, seeded
from autokd.space import parse
from autokd.spec import component_from_plain, component_to_plain, from_plain, make
from autokd.types import Teacher
from benchmarks import common

ALONE = "(student alone)"
TEACHER = {"use": "resnet", "depth": 8, "width": 32}
STUDENT = {"use": "resnet", "depth": 8, "width": 8}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--teacher-epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs = asked.runs or Path(f"benchmarks/losses-{asked.dataset}.jsonl")
    data = autokd_data.load(asked.dataset, data_dir=asked.data_dir, limit_train=asked.images)
    teacher = _teacher(data, asked.teacher_epochs, runs.with_suffix(".teacher.pt"))
    parts = frozenset({"pooled"})
    context = TrainContext(data=data, teacher=teacher, device=torch.device("cpu"), bank=TeacherBank(), parts=parts)
    done = _read(runs)
    for seed in range(asked.seeds):
        for name in _usable(data, teacher):
            if (name, seed) not in done:
                _append(runs, _run(context, name, seed, asked.epochs))
    print(f"{common.machine()}; {asked.dataset}, {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    print(f"teacher: test accuracy {_accuracy_of_teacher(teacher, data):.4f}")
    print(table(_read(runs)))


def table(runs: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Return the runs as a Markdown table, best loss first."""
    by_loss: dict[str, list[dict[str, Any]]] = {}
    for (name, _), run in runs.items():
        by_loss.setdefault(name, []).append(run)
    alone = statistics.mean(run["accuracy"] for run in by_loss[ALONE])
    rows = ["| loss | test accuracy, % | against alone | CPU seconds a run |", "|---|---|---|---|"]
    for name, found in sorted(by_loss.items(), key=lambda item: -_mean(item[1], "accuracy")):
        scores = [100 * run["accuracy"] for run in found]
        spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
        gain = statistics.mean(scores) - 100 * alone
        seconds = _mean(found, "seconds")
        score = f"{statistics.mean(scores):.1f} ± {spread:.1f} (n={len(scores)})"
        rows.append(f"| {name} | {score} | {gain:+.1f} | {seconds:.0f} |")
    return "\n".join(rows)


def _mean(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.mean(run[key] for run in runs)


def _usable(data: Dataset, teacher: Teacher) -> list[str]:
    """The student alone, and every loss that this teacher and student can feed."""
    names = ", ".join(f"{name}: {{}}" for name in catalog.names("losses") if name != "ce")
    text = (
        "student: {always: {resnet: {depth: 8, width: 8}}}\nhead: {one_of: {plain: {}, simkd: {}}}\n"
        "augment: {always: {none: {}}}\n"
        f"losses: {{always: {{ce: {{}}}}, any_of: {{at_most: 1, from: {{{names}}}}}}}\n"
        "optimizer: {always: {sgd: {}}}\nschedule: {always: {cosine: {}}}\nbatch_size: 64\n"
        "objective: {accuracy: maximize}\n"
    )
    space = parse(text, "benchmark").resolve(data.task, teacher.offers)
    flags = [path for path in space.ranges() if path.startswith("losses.") and path.count(".") == 1]
    return [ALONE, *(path.partition(".")[2] for path in flags)]


def _pipeline(name: str) -> dict[str, Any]:
    losses = {"ce": component_to_plain(make("losses", "ce", {"weight": 1.0}))}
    if name != ALONE:
        losses[name] = component_to_plain(make("losses", name, {}))
    return {
        "format": 1,
        "student": STUDENT,
        "head": _head(name),
        "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
        "losses": losses,
        "optimizer": {"use": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4},
        "schedule": {"use": "cosine"},
        "batch_size": 64,
    }


def _head(name: str) -> dict[str, Any]:
    """The head that a loss requires, with its defaults; else the plain one."""
    required = () if name == ALONE else catalog.load("losses", name).requires
    heads = [other.partition(".")[2] for other in required if other.startswith("heads.")]
    return component_to_plain(make("heads", heads[0] if heads else "plain", {}))


def _run(context: TrainContext, name: str, seed: int, epochs: int) -> dict[str, Any]:
    samples = epochs * len(context.data.train)
    began = time.process_time()
    _, trained = train_rung(
        context, from_plain(_pipeline(name)), seed=seed, view_seed=seed, horizon=samples, until=samples
    )
    seconds = time.process_time() - began
    assert context.teacher is not None
    student = _network(STUDENT, context.data, head=_head(name), teacher=context.teacher)
    student.load_state_dict(trained["student"])
    test = context.data.read_test()
    accuracy = metrics(predict(student, to_device(test, context.data.task, context.device)), test.labels).accuracy
    print(f"{name}, seed {seed}: {100 * accuracy:.1f} % in {seconds:.1f} CPU seconds", flush=True)
    return {"loss": name, "seed": seed, "accuracy": accuracy, "seconds": seconds}


def _teacher(data: Dataset, epochs: int, file: Path) -> NetworkTeacher:
    """Train the teacher, or load it where it was trained before."""
    network = _network(TEACHER, data)
    if not file.exists():
        context = TrainContext(data=data, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
        pipeline = {**_pipeline(ALONE), "student": TEACHER, "schedule": {"use": "one_cycle"}}
        samples = epochs * len(data.train)
        _, trained = train_rung(context, from_plain(pipeline), seed=0, view_seed=0, horizon=samples, until=samples)
        torch.save(trained["student"], file)
    network.load_state_dict(torch.load(file, weights_only=True))
    return NetworkTeacher([network], data.task, origin="benchmark")


def _network(
    plain: dict[str, Any], data: Dataset, head: dict[str, Any] | None = None, teacher: Teacher | None = None
) -> torch.nn.Module:
    made = None if head is None else component_from_plain("heads", head)
    offers = None if teacher is None else teacher.offers
    with seeded(0):
        return build_student(component_from_plain("students", plain), data.task, head=made, teacher=offers)


def _accuracy_of_teacher(teacher: NetworkTeacher, data: Dataset) -> float:
    test = data.read_test()
    return metrics(predict(teacher.modules[0], to_device(test, data.task, torch.device("cpu"))), test.labels).accuracy


def _read(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {(run["loss"], run["seed"]): run for run in runs}


def _append(path: Path, run: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


if __name__ == "__main__":
    main()
