"""Three teachers as one: plain distillation from their mean beside CA-MKD, which weighs each by the label.

    python -m benchmarks.ensembles --dataset fashion_mnist --data-dir DIR [--images 3000] [--epochs 6] [--seeds 3]

The teachers are residual networks of depth 8 and width 16, trained on other orders of the same images. In the second
ensemble one of them was trained on labels of which 60 % are drawn anew, so that it is often wrong. Student and recipe
are those of `python -m benchmarks.losses`, at the losses' default weights. Each run is appended to a file (`--runs`, by
default `benchmarks/ensembles-DATASET.jsonl`) as it ends, and is not repeated. Accuracy is on the official test split:
nothing is chosen by it here. Some five minutes on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from pathlib import Path
from typing import Any

import torch

from autokd import data as autokd_data
from autokd import metrics
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.ensemble import EnsembleTeacher
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import component_from_plain, from_plain
from autokd.types import Teacher
from benchmarks import common, losses

NETWORK = {"use": "resnet", "depth": 8, "width": 16}
WRONG = 0.6
"""Share of the labels that are drawn anew for the teacher that is often wrong."""
ENSEMBLES = {"three alike": (0.0, 0.0, 0.0), "one of three often wrong": (0.0, 0.0, WRONG)}
ARMS = (losses.ALONE, "kd", "camkd")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--teacher-epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs = asked.runs or Path(f"benchmarks/ensembles-{asked.dataset}.jsonl")
    options = autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images)
    data = autokd_data.load(asked.dataset, options)
    done = {(run["ensemble"], run["loss"], run["seed"]) for run in losses.lines(runs)}
    print(f"{common.machine()}; {asked.dataset}, {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    trained: dict[tuple[int, float], NetworkTeacher] = {}
    for name, wrong in ENSEMBLES.items():
        for key in enumerate(wrong):
            trained[key] = trained.get(key) or _teacher(data, *key, asked.teacher_epochs)
        ensemble = EnsembleTeacher([trained[key] for key in enumerate(wrong)])
        said = [f"{_accuracy(each, data):.1f}" for each in (*ensemble.members, ensemble)]
        print(f"{name}: members {', '.join(said[:-1])} % on test, their mean {said[-1]} %", flush=True)
        context = TrainContext(data=data, teacher=ensemble, device=torch.device("cpu"), bank=TeacherBank())
        for seed in range(asked.seeds):
            for loss in ARMS:
                if (name, loss, seed) not in done:
                    losses.append(runs, {"ensemble": name, **losses.run(context, loss, seed, asked.epochs)})
    print(table(losses.lines(runs)))


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table."""
    rows = ["| teachers | loss | test accuracy, % |", "|---|---|---|"]
    for name in ENSEMBLES:
        for loss in ARMS:
            found = [100 * run["accuracy"] for run in runs if (run["ensemble"], run["loss"]) == (name, loss)]
            spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
            rows.append(f"| {name} | {loss} | {statistics.mean(found):.1f}{spread} (n={len(found)}) |")
    return "\n".join(rows)


def _teacher(data: Dataset, seed: int, wrong: float, epochs: int) -> NetworkTeacher:
    """A network trained on labels of which a share is drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    labels = data.train.labels
    drawn = torch.randint(data.task.num_classes, labels.shape, generator=generator)
    labels = torch.where(torch.rand(labels.shape, generator=generator) < wrong, drawn, labels)
    taught = dataclasses.replace(data, train=dataclasses.replace(data.train, labels=labels))
    context = TrainContext(data=taught, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
    plain = {**losses.pipeline(losses.ALONE), "student": NETWORK, "schedule": {"use": "one_cycle"}}
    samples = epochs * len(labels)
    _, trained = train_rung(context, from_plain(plain), Rung(seed=seed, view_seed=seed, horizon=samples, until=samples))
    with seeded(0):
        network = build_student(component_from_plain("students", NETWORK), data.task)
    network.load_state_dict(trained["student"])
    return NetworkTeacher([network], data.task, origin=f"benchmark {seed}")


def _accuracy(teacher: Teacher, data: Dataset) -> float:
    test = data.read_test()
    logits = predict_teacher(teacher, to_device(test, data.task, torch.device("cpu")))
    return 100 * metrics.accuracy(metrics.predictions(logits, test.labels))


if __name__ == "__main__":
    main()
