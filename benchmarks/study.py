"""A study of twenty short trials on Fashion-MNIST, beside the same twenty run one after another by torchdistill.

    python -m benchmarks.study --data-dir DIR [--trials 20] [--images 5120] [--epochs 2]

Both sides start as a process of their own, load the same trained teacher (resnet20), and train resnet8 (torchdistill's
own networks) with crop and flip and vanilla KD, batch 128, on images padded to 32x32 in three channels. autokd's side
is its explore stage with everything around it: start, data, teacher outputs, sampler, records, validation after every
epoch. torchdistill then runs the very pipelines that autokd drew, in one process, with its validation after every
epoch; the one without distillation gets a teacher that costs nothing. Wall seconds of the whole processes are compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from autokd import catalog
from autokd import data as autokd_data
from autokd.batching import single
from autokd.data import Dataset
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.execution.inline import InlineExecutor
from autokd.networks.models import seeded
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.search.screen.screen import screen
from autokd.search.screen.screener import Screener
from autokd.space import parse
from autokd.spec import from_plain, to_plain
from autokd.study.proxies import SIZES
from autokd.study.records import RecordLog
from autokd.types import Split
from benchmarks import common

SPACE = """
objective: {accuracy: maximize}
student: {always: {torchdistill_resnet: {depth: 8}}}
augment: {always: {crop_flip: {padding: 0.125, flip: true}}}
losses:
  always: {ce: {weight: {float: [0.1, 1.0], log: true}}, kd: {temperature: {float: [1.0, 8.0]}}}
optimizer:
  always: {sgd: {learning_rate: {float: [0.02, 0.2], log: true}, weight_decay: 5e-4, momentum: 0.9, nesterov: false}}
schedule: {always: {constant: {}}}
batch_size: 128
"""


def main() -> None:
    """Run both sides and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--images", type=int, default=5120)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--teacher-epochs", type=int, default=8)
    parser.add_argument("--side", choices=("autokd", "torchdistill"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    catalog.load_plugins(common.__file__)
    if asked.side:
        {"autokd": run_autokd, "torchdistill": run_torchdistill}[asked.side](asked)
        return
    print(common.machine())
    with tempfile.TemporaryDirectory() as folder:
        train_teacher(asked, Path(folder))
        seconds = {side: _timed(side, folder) for side in ("autokd", "torchdistill")}
        scores = {side: json.loads((Path(folder) / f"{side}.json").read_text()) for side in seconds}
    print(f"{asked.trials} trials of {asked.epochs} epochs on {asked.images} images")
    print("| side | wall seconds | mean validation accuracy |\n|---|---|---|")
    for side, values in scores.items():
        print(f"| {side} | {seconds[side]:.1f} | {sum(values) / len(values):.4f} |")
    print(f"ratio {seconds['torchdistill'] / seconds['autokd']:.2f}")


def _timed(side: str, folder: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.study", *sys.argv[1:]]
    subprocess.run([*command, "--side", side, "--folder", folder], check=True)
    return time.perf_counter() - began


def load(asked: argparse.Namespace) -> Dataset:
    """Return the images, padded to 32x32 in three channels."""
    data = autokd_data.load("fashion_mnist", autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    validation = Split(_as_cifar(single(data.validation.inputs)[:1000]), data.validation.labels[:1000])
    return common.in_memory(_as_cifar(single(data.train.inputs)), data.train.labels, data.task.num_classes, validation)


def train_teacher(asked: argparse.Namespace, folder: Path) -> None:
    """Train the teacher that both sides load; this is not timed."""
    data = load(asked)
    with seeded(0):
        network = common.resnet(20, data.task.num_classes)
    context = common.context(data, network, precision="auto", bank=TeacherBank())
    plain = to_plain(common.spec(learning_rate=0.05))
    alone = {**plain, "student": {"use": "torchdistill_resnet", "depth": 20}, "losses": {"ce": plain["losses"]["ce"]}}
    samples = asked.teacher_epochs * len(data.train)
    rung = Rung(seed=0, view_seed=0, horizon=samples, until=samples)
    result, trained = train_rung(context, from_plain(alone), rung)
    print(f"teacher: validation accuracy {result.score:.4f}")
    torch.save({k.removeprefix("network."): v for k, v in trained["student"].items()}, folder / "teacher.pt")


def run_autokd(asked: argparse.Namespace) -> None:
    """Explore with autokd."""
    data = load(asked)
    context = common.context(data, _teacher(asked, data), precision="auto", bank=TeacherBank(asked.folder / "bank"))
    assert context.teacher is not None
    log = RecordLog(asked.folder / "trials.jsonl")
    screener = Screener(context=context, proxies=SIZES, seed=0)
    space = parse(SPACE, "benchmark").resolve(data.task, context.teacher.offers)
    screened = screen(screener, [space.default().plain["student"]], by=SIZES)
    log.append("screen", students=[dataclasses.asdict(row) for row in screened])
    proposer = Proposer(
        space=space, task=data.task, records=log.records, screener=screener, seed=0, offers=context.teacher.offers
    )
    Explorer(
        proposer=proposer,
        log=log,
        executor=InlineExecutor(context),
        rung_epochs=[asked.epochs],
        eta=3,
        folder=asked.folder / "trials",
    ).run(asked.trials, lambda seconds: True, lambda: None)
    (asked.folder / "autokd.json").write_text(json.dumps([trial.score for trial in log.records.trials.values()]))


def run_torchdistill(asked: argparse.Namespace) -> None:
    """Run autokd's pipelines with torchdistill, one after another."""
    data = load(asked)
    trials = RecordLog(asked.folder / "trials.jsonl", read_only=True).records.trials.values()
    scores = [_torchdistill_trial(asked, data, trial.pipeline) for trial in trials]
    (asked.folder / "torchdistill.json").write_text(json.dumps(scores))


def _torchdistill_trial(asked: argparse.Namespace, data: Dataset, pipeline: Any) -> float:
    with seeded(0):
        student = common.resnet(8, data.task.num_classes)
        teacher = _teacher(asked, data) if "kd" in pipeline["losses"] else common.NoTeacher(data.task.num_classes)
        box = common.box(teacher, student, data, from_plain(pipeline))
    score = 0.0
    for _ in range(asked.epochs):
        for images, labels, extra in box.train_data_loader:
            box.post_forward_process(loss=box.forward_process(images, labels, extra))
        score = _accuracy(student, data)
        student.train()
    return score


@torch.inference_mode()
def _accuracy(student: torch.nn.Module, data: Dataset) -> float:
    student.eval()
    inputs = (single(data.validation.inputs).float() / 255 - 0.5) / 0.25
    right = [
        student(x).argmax(1) == y for x, y in zip(inputs.split(128), data.validation.labels.split(128), strict=True)
    ]
    return float(torch.cat(right).float().mean())


def _teacher(asked: argparse.Namespace, data: Dataset) -> torch.nn.Module:
    network = common.resnet(20, data.task.num_classes)
    network.load_state_dict(torch.load(asked.folder / "teacher.pt", weights_only=True))
    return network


def _as_cifar(images: Tensor) -> Tensor:
    return pad(images, (2, 2, 2, 2)).expand(-1, 3, -1, -1).contiguous()


if __name__ == "__main__":
    main()
