"""The teacher cut down beside the same networks with random weights, and beside the default family as large.

    python -m benchmarks.cut_teacher --data DIR [--sets resnet vit] [--seeds 3]

DIR holds the original files in folders (fashion_mnist, cifar100). `resnet` is CIFAR-100 by its 20 coarse classes at 16
pixels, 3,000 images, with a resnet (depth 14, width 16) as teacher, of which a half and a quarter of the parameters are
left; `vit` is Fashion-MNIST, 3,000 images, with timm's test_vit (6 blocks, patches of 4 pixels), of which 27 % is left.
Channels are chosen by magnitude and by Taylor, and the same networks begin with random weights; beside them stands the
resnet of autokd whose number of parameters is nearest. Each is trained by KD (0.1 cross-entropy, 0.9 KD at T = 4) and
from the labels alone, as long and in the same way. The learning rate is that of scratch training or a fifth of it: for
each arm the better of the two on validation, with the first seed. Accuracy is on 4,000 samples of the official test
split.

Each run is appended to a file (`--runs`) as it ends, and is not repeated; `--table` only prints the tables. Some 16
core-minutes.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from autokd import batching, catalog
from autokd import data as autokd_data
from autokd.data import DataOptions, Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.cost import student_params
from autokd.networks.models import seeded
from autokd.networks.reference import load_teacher
from autokd.networks.remade import remake
from autokd.spec import component_from_plain, from_plain
from autokd.study.intervals import half_width
from autokd.types import Split, Teacher
from benchmarks import common, int8
from benchmarks.losses import append, lines

CPU = torch.device("cpu")
LOSSES = int8.LOSSES
STARTS = ("magnitude", "taylor", "none", "default family")
TAUGHT = ("alone", "distilled")
HELD = 500
"""Validation samples, by which a learning rate is chosen."""
TESTED = 4000
RATES = (1.0, 0.2)
"""Shares of the learning rate of scratch training that are tried."""


@dataclass(frozen=True, kw_only=True)
class Set:
    """A set and its teacher.

    Args:
      reference, folder: of the data, below the folder of all.
      samples, side: to train on; that images are resized to, None: as they are.
      epochs: of the teacher, and of a student.
      teacher: name of its network.
      cuts: (depth, width) in percent, by name.
      optimizer: of all runs; its rate is that of scratch training.
    """

    reference: str
    folder: str
    samples: int
    side: int | None
    epochs: tuple[int, int]
    teacher: str
    cuts: Mapping[str, tuple[int, int]]
    optimizer: Mapping[str, Any]


SETS = {
    "resnet": Set(
        reference="published_cifar_coarse",
        folder="",
        samples=3000,
        side=16,
        epochs=(20, 5),
        teacher="resnet:depth=14,width=16",
        cuts={"half": (100, 50), "quarter": (50, 50)},
        optimizer={"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
    ),
    "vit": Set(
        reference="fashion_mnist",
        folder="fashion_mnist",
        samples=3000,
        side=None,
        epochs=(20, 5),
        teacher="timm:test_vit:img_size=28,patch_size=4",
        cuts={"quarter": (50, 50)},
        optimizer={"use": "adamw", "learning_rate": 2e-3, "weight_decay": 0.05},
    ),
}


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/cut_teacher.jsonl"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.table:
        catalog.load_plugins(int8.__file__)
        for name in asked.sets:
            run_missing(name, asked.data, asked.runs, asked.seeds)
    print(f"{common.machine()}\n\n{table(lines(asked.runs))}")


def run_missing(name: str, folder: Path, file: Path, seeds: int) -> None:
    """Train the students of a set that the file does not have."""
    wanted = SETS[name]
    done = {tuple(run[key] for key in ("cut", "start", "taught", "seed")) for run in lines(file) if run["set"] == name}
    cells = [each for seed in range(seeds) for each in itertools.product(wanted.cuts, STARTS, TAUGHT, [seed])]
    missing = [cell for cell in cells if cell not in done]
    if not missing:
        return
    options = DataOptions(data_dir=folder / wanted.folder, limit_train=wanted.samples, image_size=wanted.side)
    data = autokd_data.load(wanted.reference, options)
    data = replace(data, validation=batching.take_split(data.validation, torch.arange(HELD)))
    teacher = teacher_of(wanted, data, file.with_name(f"cut_teacher-{name}.teacher.pt"))
    context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())
    test = batching.take_split(data.read_test(), torch.arange(TESTED))
    said = right(predict_teacher(teacher, to_device(test, data.task, CPU)), test)
    print(f"{name}: teacher {100 * said:.1f} % on test, {teacher.params:,} parameters", flush=True)
    for cut, start, taught, seed in missing:
        began, cell = time.process_time(), {"set": name, "cut": cut, "start": start, "taught": taught}
        student = student_of(wanted, data, wanted.cuts[cut], start, teacher)
        before = [run["rate"] for run in lines(file) if cell.items() <= run.items()]
        pipelines = {rate: spec_of(wanted, student, LOSSES[taught], rate) for rate in before[:1] or RATES}
        rates = [{"rate": rate, **trained(context, plain, wanted, seed, test)} for rate, plain in pipelines.items()]
        best = max(rates, key=lambda each: each["validation"])
        run: dict[str, Any] = {**cell, "seed": seed, **best, "teacher": said}
        run |= {"params": student_params(component_from_plain("students", student), data.task), "of": teacher.params}
        append(file, {**run, "seconds": round(time.process_time() - began, 1)})
        print(run, round(time.process_time() - began, 1), flush=True)


def student_of(wanted: Set, data: Dataset, cut: tuple[int, int], start: str, teacher: Teacher) -> dict[str, Any]:
    """Return the plain student of an arm."""
    depth, width = cut
    plain = {"use": "cut_teacher", "network": teacher.offers.network, "depth": depth, "width": width}
    if start != "default family":
        return {**plain, "importance": start}
    count = student_params(component_from_plain("students", plain), data.task)

    def far(student: dict[str, Any]) -> float:
        return abs(student_params(component_from_plain("students", student), data.task) / count - 1)

    family = ({"use": "resnet", "depth": deep, "width": wide} for deep in (8, 14) for wide in range(4, 65, 4))
    return min(family, key=far)


def teacher_of(wanted: Set, data: Dataset, file: Path) -> Teacher:
    """Train the teacher, or load it where it was trained before."""
    if not file.exists():
        whole = {"use": "cut_teacher", "network": wanted.teacher, "depth": 100, "width": 100, "importance": "none"}
        with seeded(0):
            network = remake(wanted.teacher, data.task).network
        context = TrainContext(
            data=data, teacher=load_whole(wanted, data, network, file), device=CPU, bank=TeacherBank()
        )
        plain = spec_of(wanted, whole, LOSSES["alone"], 1.0)
        list(prepare_artefacts(context, from_plain(plain)))
        samples = wanted.epochs[0] * len(data.train)
        rung = Rung(seed=0, view_seed=1, horizon=samples, until=samples)
        _, checkpoint = train_rung(context, from_plain(plain), rung)
        state = {key.removeprefix("network."): value for key, value in checkpoint["student"].items()}
        torch.save(state, file)
    return load_teacher(named(wanted, file), data.task)


def load_whole(wanted: Set, data: Dataset, network: torch.nn.Module, file: Path) -> Teacher:
    """Return the untrained network as a teacher, of which the teacher's own training is a copy with random weights."""
    torch.save(network.state_dict(), file.with_suffix(".untrained"))
    return load_teacher(named(wanted, file.with_suffix(".untrained")), data.task)


def named(wanted: Set, file: Path) -> str:
    """Return the reference of a teacher, fed with the data's own mean and deviation as far as it says nothing."""
    return f"{wanted.teacher}@{file}"


def spec_of(wanted: Set, student: Mapping[str, Any], losses: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return the plain pipeline of a run, at a share of the learning rate."""
    rate = wanted.optimizer["learning_rate"] * share
    return {
        "format": 1,
        "student": dict(student),
        "losses": losses,
        "schedule": {"use": "cosine"},
        "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
        "optimizer": {**wanted.optimizer, "learning_rate": rate},
        "batch_size": 64,
    }


def trained(context: TrainContext, plain: Mapping[str, Any], wanted: Set, seed: int, test: Split) -> dict[str, float]:
    """Train a plain pipeline; return what it reaches on validation and on test."""
    spec = from_plain(plain)
    list(prepare_artefacts(context, spec))
    samples = wanted.epochs[1] * len(context.data.train)
    result, checkpoint = train_rung(context, spec, Rung(seed=seed, view_seed=0, horizon=samples, until=samples))
    with seeded(0):
        network = build_student(spec.student, context.data.task)
    network.load_state_dict(checkpoint["student"])
    logits = predict(network, to_device(test, context.data.task, CPU))
    return {"validation": result.score, "test": right(logits, test)}


def right(logits: torch.Tensor, split: Split) -> float:
    """Return the share of a split that is right."""
    return float((logits.argmax(1) == split.labels).double().mean())


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table: accuracy on test, mean ± spread, and what kept weights gain."""
    heads = ("teacher", "left", "parameters", "begins with", "alone, %", "KD, %", "KD over random weights")
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, cut in dict.fromkeys((run["set"], run["cut"]) for run in runs):
        own = [run for run in runs if (run["set"], run["cut"]) == (name, cut)]
        rows += [f"| {' | '.join(_row(own, name, start))} |" for start in STARTS]
    return "\n".join(rows)


def _row(runs: list[dict[str, Any]], name: str, start: str) -> Iterator[str]:
    own = [run for run in runs if run["start"] == start]
    scores = {taught: {run["seed"]: 100 * run["test"] for run in own if run["taught"] == taught} for taught in LOSSES}
    random = {r["seed"]: 100 * r["test"] for r in runs if (r["start"], r["taught"]) == ("none", "distilled")}
    yield f"{name}, {100 * own[0]['teacher']:.1f} %"
    yield f"{100 * own[0]['params'] / own[0]['of']:.0f} %"
    yield f"{own[0]['params']:,}"
    yield start if start != "none" else "random weights"
    for values in scores.values():
        yield f"{statistics.mean(values.values()):.1f} ± {statistics.stdev(values.values()):.1f}" if values else ""
    gains = [score - random[seed] for seed, score in scores["distilled"].items()]
    middle = statistics.mean(gains)
    half = half_width(len(gains) - 1) * statistics.stdev(gains) / math.sqrt(len(gains))
    yield "" if start == "none" else f"{middle:+.1f} [{middle - half:+.1f}, {middle + half:+.1f}]"


if __name__ == "__main__":
    main()
