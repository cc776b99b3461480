"""Losses that count in a part of training, averaged weights and pretrained starts, beside what is without them.

    python -m benchmarks.stages --data-dir DIR [--images 3000] [--epochs 6] [--seeds 3] [--teacher-epochs 10]

Fashion-MNIST, with the networks, augmentation, optimizer and schedule of `benchmarks.losses`; cross-entropy has weight
1, each loss its default weight. An average does not change how is trained, so that one run has the student as it ends
and both averages. The pretrained student was trained on the digits of scikit-learn, enlarged to 28x28, for as many
epochs, and begins with all of its weights, classifier included. Each run is appended to a file (`--runs`) and is not
repeated; the table is made from the file. Accuracy is on the official test split: nothing is chosen by it here.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autokd import data as autokd_data
from autokd import metrics
from autokd.data import Dataset
from autokd.engine.build import build_run
from autokd.engine.context import TrainContext
from autokd.engine.ema import RunningAverage
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_epoch
from autokd.engine.rung import Epoch
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.models import seeded
from autokd.seeds import derive
from autokd.spec import component_to_plain, from_plain, make
from benchmarks import common
from benchmarks.losses import ALONE, accuracy_of_teacher, append, benchmark_teacher, lines, pipeline, table

SHARES = (0.1, 0.3)
FIRST = {"end": 0.3}
THEN = {"begin": 0.3}
LOSSES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    ALONE: {"ce": {}},
    "kd": {"ce": {}, "kd": {}},
    "hint to 0.3, then kd": {"hint": FIRST, "ce": THEN, "kd": THEN},
    "hint and kd": {"hint": {}, "ce": {}, "kd": {}},
}
"""The pipelines, by the losses beside their keys."""
STARTED = (ALONE, "kd")
"""Those that are also trained from the pretrained student."""


class Averages:
    """Several running averages of one network."""

    def __init__(self, network: nn.Module) -> None:
        self.by_share = {share: RunningAverage(network, share) for share in SHARES}

    def update(self, samples: int) -> None:
        """Take in the network's present weights."""
        for average in self.by_share.values():
            average.update(samples)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher-epochs", type=int, default=10)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/stages-fashion_mnist.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    options = autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images)
    data, digits = (
        autokd_data.load("fashion_mnist", options),
        autokd_data.load("digits", autokd_data.DataOptions(image_size=28)),
    )
    teacher = benchmark_teacher(data, asked.teacher_epochs, asked.runs.with_suffix(".teacher.pt"))
    parts = frozenset({"pooled"})
    context = TrainContext(data=data, teacher=teacher, device=torch.device("cpu"), bank=TeacherBank(), parts=parts)
    print(f"teacher: test accuracy {accuracy_of_teacher(teacher, data):.4f}", flush=True)
    for seed in range(asked.seeds):
        done = {(run["loss"], run["seed"]) for run in lines(asked.runs)}
        missing = [name for name in LOSSES if (name, seed) not in done]
        for name in missing:
            keep_all(asked.runs, run_from(context, name, seed, asked.epochs))
        for name in STARTED:
            if (f"{name}, from digits", seed) not in done:
                start = pretrained(digits, seed, asked.epochs)
                keep_all(asked.runs, run_from(context, name, seed, asked.epochs, start))
    print(f"{common.machine()}; {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    print(table({(run["loss"], run["seed"]): run for run in lines(asked.runs)}))


def pretrained(digits: Dataset, seed: int, epochs: int) -> dict[str, Tensor]:
    """Return the student trained on digits."""
    context = TrainContext(data=digits, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
    return train(context, ALONE, seed + 100, epochs, None)[0].state_dict()


def run_from(
    context: TrainContext, name: str, seed: int, epochs: int, start: Mapping[str, Tensor] | None = None
) -> list[dict[str, Any]]:
    """Train a pipeline, from a start or at random; return a line for the student and for each of its averages."""
    began = time.process_time()
    student, averages = train(context, name, seed, epochs, start)
    seconds = time.process_time() - began
    name = name if start is None else f"{name}, from digits"
    networks = {name: student, **{f"{name}, ema {share}": a.network for share, a in averages.by_share.items()}}
    found = {key: accuracy(network, context.data) for key, network in networks.items()}
    print(f"seed {seed}: {', '.join(f'{key} {100 * value:.1f} %' for key, value in found.items())}", flush=True)
    return [{"loss": key, "seed": seed, "accuracy": value, "seconds": seconds} for key, value in found.items()]


def train(
    context: TrainContext, name: str, seed: int, epochs: int, start: Mapping[str, Tensor] | None
) -> tuple[nn.Module, Averages]:
    """Return the student as it ends, and its averages."""
    losses = {key: component_to_plain(make("losses", key, dict(keys))) for key, keys in LOSSES[name].items()}
    spec = from_plain({**pipeline(ALONE), "losses": losses})
    with seeded(derive(seed, "init")):
        run = build_run(context, spec, epochs * len(context.data.train))
        if start is not None:
            run.student.network.load_state_dict(start)
        averages: Any = Averages(run.student.network)
        run.student.average = averages
        for number in range(epochs):
            train_epoch(context, spec, run, Epoch(number, epochs, seed, seed))
    return copy.deepcopy(run.student.network), averages


def accuracy(network: nn.Module, data: Dataset) -> float:
    """Return a network's accuracy on the test split."""
    test = data.read_test()
    return metrics.accuracy(
        metrics.predictions(predict(network, to_device(test, data.task, torch.device("cpu"))), test.labels)
    )


def keep_all(path: Path, runs: list[dict[str, Any]]) -> None:
    """Append lines to the file of runs."""
    for run in runs:
        append(path, run)


if __name__ == "__main__":
    main()
