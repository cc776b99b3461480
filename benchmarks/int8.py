"""What int8 costs students that were trained alone and distilled ones, and what quantisation-aware training gives back.

    python -m benchmarks.int8 --data DIR [--sets fashion_mnist cifar_coarse letter] [--seeds 3]

DIR holds the original files in folders (fashion_mnist, cifar100, letter). Three students of each set are trained on a
fixed draw of it, from the labels alone and by KD (0.1 cross-entropy, 0.9 KD at T = 4) from one teacher a set, an
ordinary network that is larger. At 0.8 of training a run divides: one part goes on as before, the other with
`qat: 0.8`. Each student is written as ONNX in float and, calibrated on 512 training samples, in int8, as `autokd
export-model` does. Accuracy is that of onnxruntime on the official test split (of Letter, the last 4,000 rows): nothing
is chosen by it here. Latency is that of one sample on one thread, the lowest of five medians, float and int8 in turns.

Each student is appended to a file (`--runs`) as it is measured, and is not repeated; the tables are made from the file,
and with `--table` from what it holds. Some 15 core-minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autokd import batching, catalog
from autokd import data as autokd_data
from autokd.data import DataOptions, Dataset
from autokd.data_types import DataContext, Raw
from autokd.declarations import Dataset as Declared
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import normalise, raw_view, to_device
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import calibration_samples, quantise
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import component_from_plain, from_plain
from autokd.types import Checkpoint, Inputs, Split, Task
from benchmarks import common
from benchmarks.by_hand import raw
from benchmarks.int8_table import conclusions, table
from benchmarks.losses import append, lines

CPU = torch.device("cpu")
BEGIN = 0.8
"""Share of training after which a run divides."""
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "alone": {"ce": {"use": "ce", "weight": 1.0}},
    "distilled": {"ce": {"use": "ce", "weight": 0.1}, "kd": {"use": "kd", "weight": 0.9, "temperature": 4.0}},
}
HELD = 300
"""Validation samples: nothing here depends on them."""


@dataclass(frozen=True, kw_only=True)
class Set:
    """A set, its students, its teacher and how they are trained; everything as plain components.

    Args:
      reference: its name as a dataset.
      samples: to train on.
      epochs: of a student, a multiple of 5; of the teacher.
      students: by name.
      teacher: its network.
      recipe: augmentation, optimizer and batch size.
      side: that images are resized to; None: they stay as they are.
    """

    reference: str
    samples: int
    epochs: tuple[int, int]
    students: Mapping[str, Mapping[str, Any]]
    teacher: Mapping[str, Any]
    recipe: Mapping[str, Any]
    side: int | None = None


IMAGES = {
    "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
    "optimizer": {"use": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4},
    "batch_size": 64,
}
ROWS = {"augment": {"use": "none"}, "optimizer": {"use": "adamw", "learning_rate": 1e-2}, "batch_size": 64}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "cnn": {"use": "cnn", "layers": 3, "width": 8},
    "resnet": {"use": "resnet", "depth": 8, "width": 8},
    "mobilenet": {"use": "mobilenet", "depth": 4, "width": 8},
}
PERCEPTRONS: Mapping[str, Mapping[str, Any]] = {
    f"mlp {depth}x{width}": {"use": "mlp", "depth": depth, "width": width}
    for depth, width in ((1, 32), (2, 32), (4, 48))
}
LARGE = {"use": "resnet", "depth": 8, "width": 16}
SETS: Mapping[str, Set] = {
    "fashion_mnist": Set(
        reference="fashion_mnist", samples=2000, epochs=(10, 15), students=NETWORKS, teacher=LARGE, recipe=IMAGES
    ),
    "cifar_coarse": Set(
        reference="published_cifar_coarse",
        samples=4000,
        epochs=(15, 20),
        students=NETWORKS,
        teacher=LARGE,
        recipe=IMAGES,
        side=16,
    ),
    "letter": Set(
        reference="published_letter",
        samples=4000,
        epochs=(40, 60),
        students=PERCEPTRONS,
        teacher={"use": "mlp", "depth": 3, "width": 256},
        recipe=ROWS,
    ),
}


@dataclass(frozen=True, kw_only=True)
class PublishedCifarCoarse:
    """CIFAR-100 by its 20 coarse classes."""

    declares = Declared(name="published_cifar_coarse", modality="image")

    data_dir: str | None = None  # of the original files

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        return raw.published("cifar-coarse", Path(str(self.data_dir)))


@dataclass(frozen=True, kw_only=True)
class PublishedLetter:
    """Letter, whose first 16,000 rows train."""

    declares = Declared(name="published_letter", modality="table")

    data_dir: str | None = None  # of the original files

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        return raw.published("letter", Path(str(self.data_dir)))


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/int8.jsonl"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.table:
        catalog.load_plugins(__file__)
        for name in asked.sets:
            run_missing(name, asked.data, asked.runs, asked.seeds)
    runs = lines(asked.runs)
    print(f"{common.machine()}\n\n{table(runs)}\n\n{conclusions(runs)}")


def run_missing(name: str, folder: Path, file: Path, seeds: int) -> None:
    """Train and measure the students of a set that the file does not have."""
    wanted = SETS[name]
    done = {(run["student"], run["taught"], run["seed"]) for run in lines(file) if run["set"] == name}
    cells = [(student, taught, seed) for seed in range(seeds) for student in wanted.students for taught in LOSSES]
    missing = [cell for cell in cells if cell not in done]
    if not missing:
        return
    where = folder / "fashion_mnist" if wanted.reference == "fashion_mnist" else folder
    data = autokd_data.load(
        wanted.reference, DataOptions(data_dir=where, limit_train=wanted.samples, image_size=wanted.side)
    )
    data = dataclasses.replace(data, validation=batching.take_split(data.validation, torch.arange(HELD)))
    teacher = teacher_of(wanted, data, file.with_name(f"int8-{name}.teacher.pt"))
    context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())
    samples, test = calibration_samples(data.train, data.task), data.read_test()
    said = agreement(*answers(teacher.modules[0], data.task, test)[:2])
    print(f"{name}: teacher {100 * said:.1f} % on test", flush=True)
    for student, taught, seed in missing:
        began = time.process_time()
        found = []
        for kind, checkpoint in trained(context, wanted, student, taught, seed).items():
            network = network_of(wanted.students[student], data.task)
            network.load_state_dict(checkpoint["student"])
            found.append({"trained": kind, **measured(network, data.task, samples, test)})
        run = {"set": name, "student": student, "taught": taught, "seed": seed}
        spent = round(time.process_time() - began, 1)
        append(file, {**run, **{each.pop("trained"): each for each in found}, "seconds": spent})
        print(f"{run}: {found}, {spent} CPU seconds", flush=True)


def trained(context: TrainContext, wanted: Set, student: str, taught: str, seed: int) -> dict[str, Checkpoint]:
    """Train a student until a run divides, and both of its parts: as before, and quantisation-aware."""
    epochs, size = wanted.epochs[0], len(context.data.train)
    plain = {**spec_of(wanted, wanted.students[student]), "losses": LOSSES[taught]}
    rung = Rung(seed=seed, view_seed=0, horizon=epochs * size, until=round(BEGIN * epochs) * size)
    _, common_part = train_rung(context, from_plain(plain), rung)
    rest = dataclasses.replace(rung, until=rung.horizon)
    _, as_before = train_rung(context, from_plain(plain), rest, start=common_part)
    start = {**common_part, "ranges": torch.empty(0, 2)}
    _, rounded = train_rung(context, from_plain({**plain, "qat": BEGIN}), rest, start=start)
    return {"float": as_before, "qat": rounded}


def spec_of(wanted: Set, student: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain pipeline of a student that is trained alone."""
    return {
        "format": 1,
        "student": dict(student),
        "losses": LOSSES["alone"],
        "schedule": {"use": "cosine"},
        **wanted.recipe,
    }


def teacher_of(wanted: Set, data: Dataset, file: Path) -> NetworkTeacher:
    """Train the teacher, or load it where it was trained before."""
    network = network_of(wanted.teacher, data.task)
    if not file.exists():
        context = TrainContext(data=data, teacher=None, device=CPU, bank=TeacherBank())
        samples = wanted.epochs[1] * len(data.train)
        rung = Rung(seed=0, view_seed=1, horizon=samples, until=samples)
        _, checkpoint = train_rung(context, from_plain(spec_of(wanted, wanted.teacher)), rung)
        torch.save(checkpoint["student"], file)
    network.load_state_dict(torch.load(file, weights_only=True))
    return NetworkTeacher([network], data.task, origin="benchmark")


def network_of(plain: Mapping[str, Any], task: Task) -> nn.Module:
    """Return an untrained network."""
    with seeded(0):
        return build_student(component_from_plain("students", dict(plain)), task)


def measured(network: nn.Module, task: Task, samples: Inputs, test: Split) -> dict[str, Any]:
    """Write a student in float and in int8, and return accuracies, sizes, latencies and how many answers change."""
    graph = network_graph(network.eval(), task)
    graphs = {"float": graph, "int8": quantise(graph, samples)}
    sessions = {name: running.session(model, threads=1) for name, model in graphs.items()}
    inputs, labels = normalised(test, task), test.labels.numpy()
    said = {name: running.logits(session, inputs).argmax(1) for name, session in sessions.items()}
    taken = [{name: running.latency(each, running.example(task)) for name, each in sessions.items()} for _ in range(5)]
    return {
        "accuracy": {name: agreement(found, labels) for name, found in said.items()},
        "changed": 1 - agreement(said["float"], said["int8"]),
        "bytes": {name: model.ByteSize() for name, model in graphs.items()},
        "milliseconds": {name: round(min(each[name] for each in taken), 4) for name in sessions},
    }


def answers(network: nn.Module, task: Task, test: Split) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the classes that a network gives on a split, and those that are true."""
    with torch.no_grad():
        session = running.session(network_graph(network, task), threads=1)
    return running.logits(session, normalised(test, task)).argmax(1), test.labels.numpy()


def normalised(split: Split, task: Task) -> Inputs:
    """Return all samples of a split as a network takes them."""
    data = to_device(split, task, CPU)
    return normalise(data, raw_view(data, slice(len(split))).inputs)


def agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the share of equal entries."""
    return float(np.mean(one == other))


if __name__ == "__main__":
    main()
