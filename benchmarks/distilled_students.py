"""Students of two spaces, each distilled from one teacher by one recipe: what rankings without training are held to.

    OMP_NUM_THREADS=1 python -m benchmarks.distilled_students --data-dir DIR [--students 60] [--seeds 2]

Fashion-MNIST at 16x16: 3,000 images train, the official test split tests. The students are drawn uniformly before
anything is known of them: of `resnet_cifar` 1 to 5 blocks in each of three stages and a width of 4 to 12, of
`nasbench201` any of the 15,625 cells, with 8 channels and one cell a stage. Besides, three strata of 15 students each
are drawn, whose parameters differ by at most 5 % from a quantile of those: there size says nothing. The teacher is a
residual network (depth 14, width 16), trained once on the same images. All students get the same short training: cross-
entropy of weight 0.1 and KD of weight 0.9 at temperature 4, crop and flip, SGD, cosine. A failed run counts as an
accuracy of chance.

Each run is appended to a file (`--runs`) as it ends, and is not repeated: one seed of all students first, then the
next. What is known of each student and seed is written to `benchmarks/distilled_students.parquet`. No choice rests on
test here, it is what rankings are compared with. Some 10 CPU seconds a run.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame

from autokd import data as autokd_data
from autokd import metrics
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.errors import TrialFailure
from autokd.networks.cost import student_cost, student_params
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import component_from_plain, component_to_plain, from_plain, make
from autokd.types import Task
from benchmarks import common
from benchmarks.losses import append, lines

CPU = torch.device("cpu")
IMAGES, SIDE, EPOCHS, TEACHER_EPOCHS = 3_000, 16, 4, 16
TEACHER = {"use": "resnet", "depth": 14, "width": 16}
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("edge01", "edge02", "edge12", "edge03", "edge13", "edge23")
SPACES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "resnet_cifar": {"blocks1": range(1, 6), "blocks2": range(1, 6), "blocks3": range(1, 6), "width": range(4, 13, 2)},
    "nasbench201": {**dict.fromkeys(EDGES, OPERATIONS), "channels": (8,), "cells": (1,)},
}
QUANTILES, NEAR, APIECE = (0.15, 0.5, 0.85), 0.05, 15
"""Of the parameters of the students drawn uniformly; how near a stratum's are to one, as a share; and how many."""


def main() -> None:
    """Train what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--students", type=int, default=60, help="of each space")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/distilled_students.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    context = taught(asked.data_dir, asked.runs.with_suffix(".teacher.pt"))
    done = {(run["space"], run["number"], run["seed"]) for run in lines(asked.runs)}
    for seed in range(asked.seeds):
        for space in SPACES:
            for stratum, number, student in numbered(space, asked.students, context.data.task):
                if (space, number, seed) not in done:
                    about = {"space": space, "number": number, "stratum": stratum}
                    append(asked.runs, {**about, **distilled(context, student, seed)})
    frame = table(lines(asked.runs))
    frame.to_parquet(asked.runs.with_suffix(".parquet"), index=False)
    print(f"{common.machine()}; teacher {100 * accuracy_of_teacher(context):.1f} % on test\n{described(frame)}")


def numbered(space: str, count: int, task: Task) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield a space's students with their stratum, 0 for those drawn uniformly, and number."""
    uniform = list(itertools.islice(drawn(space, 0), count))
    yield from ((0, number, student) for number, student in enumerate(uniform))
    sizes = [student_params(component_from_plain("students", student), task) for student in uniform]
    for stratum, target in enumerate(np.quantile(sizes, QUANTILES), start=1):
        near = (each for each in drawn(space, stratum) if is_near(each, float(target), task))
        yield from (
            (stratum, 1000 * stratum + number, each) for number, each in enumerate(itertools.islice(near, APIECE))
        )


def is_near(student: Mapping[str, Any], target: float, task: Task) -> bool:
    """Whether a plain student has about so many parameters."""
    return abs(student_params(component_from_plain("students", student), task) / target - 1) <= NEAR


def drawn(space: str, seed: int) -> Iterator[dict[str, Any]]:
    """Yield distinct plain students of a space, drawn uniformly, without an end."""
    rng, seen = np.random.default_rng(seed), set[str]()
    while True:
        fields = {name: values[int(rng.integers(len(values)))] for name, values in SPACES[space].items()}
        if str(fields) not in seen:
            seen.add(str(fields))
            yield component_to_plain(make("students", space, fields))


def dataset(data_dir: str | None) -> Dataset:
    """Return the images."""
    options = autokd_data.DataOptions(data_dir=data_dir, limit_train=IMAGES, image_size=SIDE)
    return autokd_data.load("fashion_mnist", options)


def taught(data_dir: str | None, file: Path) -> TrainContext:
    """Return the data with the teacher, which is trained, or loaded where it was trained before."""
    data = dataset(data_dir)
    component = component_from_plain("students", TEACHER)
    with seeded(0):
        network = build_student(component, data.task)
    if not file.exists():
        plain = {**pipeline(TEACHER), "losses": {"ce": component_to_plain(make("losses", "ce", {"weight": 1.0}))}}
        context = TrainContext(data=data, teacher=None, device=CPU, bank=TeacherBank())
        torch.save(trained(context, plain, 0, TEACHER_EPOCHS), file)
    network.load_state_dict(torch.load(file, weights_only=True))
    teacher = NetworkTeacher([network], data.task, origin="benchmark")
    return TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())


def pipeline(student: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain pipeline of a student."""
    return {
        "format": 1,
        "student": dict(student),
        "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
        "losses": {
            "ce": {"use": "ce", "weight": 0.1, "label_smoothing": 0.0},
            "kd": {"use": "kd", "weight": 0.9, "temperature": 4.0},
        },
        "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
        "schedule": {"use": "cosine"},
        "batch_size": 64,
    }


def trained(context: TrainContext, plain: Mapping[str, Any], seed: int, epochs: int) -> Mapping[str, Any]:
    """Train a pipeline and return the student's state."""
    samples = epochs * len(context.data.train)
    _, checkpoint = train_rung(
        context, from_plain(plain), Rung(seed=seed, view_seed=seed, horizon=samples, until=samples)
    )
    state: Mapping[str, Any] = checkpoint["student"]
    return state


def distilled(context: TrainContext, student: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Distil a student under a seed and test it; its accuracy is None where training failed."""
    data, began, accuracy = context.data, time.process_time(), None
    component = component_from_plain("students", student)
    try:
        network = build_student(component, data.task)
        network.load_state_dict(trained(context, pipeline(student), seed, EPOCHS))
        seconds, test = time.process_time() - began, data.read_test()
        logits = predict(network, to_device(test, data.task, CPU))
        accuracy = metrics.accuracy(metrics.predictions(logits, test.labels))
    except TrialFailure as error:
        seconds = time.process_time() - began
        print(f"{student}: {error}", flush=True)
    cost = student_cost(component, data.task)
    print(f"{student}, seed {seed}: {accuracy}, {cost.params:,} parameters, {seconds:.1f} CPU seconds", flush=True)
    size = {"params": cost.params, "macs": cost.macs}
    return {"student": dict(student), **size, "seed": seed, "accuracy": accuracy, "seconds": round(seconds, 2)}


def accuracy_of_teacher(context: TrainContext) -> float:
    """Return its accuracy on test."""
    test = context.data.read_test()
    assert context.teacher is not None
    logits = predict_teacher(context.teacher, to_device(test, context.data.task, CPU))
    return metrics.accuracy(metrics.predictions(logits, test.labels))


def table(runs: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Return the runs, one a row, with a column for each field of a student."""
    rows = [{"stratum": 0} | {k: v for k, v in run.items() if k != "student"} | run["student"] for run in runs]
    return DataFrame(rows).sort_values(["space", "number", "seed"]).drop(columns=["use"])


def described(frame: DataFrame) -> str:
    """Return what the runs of each space come to, as a Markdown table."""
    text = ["| space | students | seeds | test accuracy, % | CPU seconds a run |", "|---|---|---|---|---|"]
    for space, own in frame.groupby("space"):
        scores = 100 * own.groupby("number")["accuracy"].mean()
        spread = f"{scores.min():.1f} to {scores.max():.1f}, median {scores.median():.1f}"
        cells = [space, own["number"].nunique(), own["seed"].nunique(), spread, f"{own['seconds'].mean():.1f}"]
        text.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
