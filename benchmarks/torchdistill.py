"""Images per CPU-second of one distillation, beside torchdistill on the same work.

    python -m benchmarks.torchdistill [--rounds 8] [--data-dir DIR]

The same teacher (resnet20) and student (resnet8, torchdistill's own networks on both sides), 32x32, batch 128, crop and
flip, vanilla KD, one thread. Variants run in short alternating blocks; the figures are medians over blocks of images
per CPU-second, and ratios to torchdistill as shipped. First it is checked that both sides do equal work: the same
losses, step by step, on the same views from the same weights.

With `--data-dir` (a folder that holds CIFAR-100 in torchvision's format) it also compares the validation accuracy of
bfloat16 and float32 over three seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from autokd import data as autokd_data
from autokd.data import Dataset
from autokd.engine.build import build_run
from autokd.engine.loop import train_rung
from autokd.engine.memory import keep_freed_memory
from autokd.engine.rung import Rung
from autokd.engine.step import train_step
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import augmented_view, fetch, normalise
from autokd.networks.models import seeded
from autokd.seeds import generator
from autokd.spec import TEACHER
from autokd.types import Batch
from benchmarks import common

IMAGES = 4096


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--data-dir")
    parser.add_argument("--worker", choices=("torchdistill", "autokd"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.worker:
        serve(asked.worker)
        return
    print(common.machine())
    data = common.random_images(IMAGES)
    print(f"largest relative difference of the loss over 20 steps on the same views: {equal_work(data):.1e}")
    ratios = throughput(asked.rounds)
    if asked.data_dir:
        accuracy(asked.data_dir)
    print("warm fp32 {warm fp32:.2f} warm bf16 {warm bf16:.2f} cold {cold:.2f}".format(**ratios))


def serve(side: str) -> None:
    """Run blocks of one side as they are asked for on stdin, and answer with their CPU seconds."""
    data = common.random_images(IMAGES)
    if side == "autokd":
        keep_freed_memory()
    variants = dict(_torchdistill(data) if side == "torchdistill" else _ours(data))
    print(json.dumps(list(variants)), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        variants[line.strip()]()
        print(time.process_time() - began, flush=True)


def networks(num_classes: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Return teacher and student, always with the same weights."""
    with seeded(0):
        return common.resnet(20, num_classes), common.resnet(8, num_classes)


def equal_work(data: Dataset) -> float:
    """Train both sides on the same views from the same weights; return the largest relative difference of the loss."""
    recipe = common.spec(learning_rate=0.05, weight_decay=0.0)
    teacher, student = networks(data.task.num_classes)
    ours = common.context(data, teacher, precision="float32", bank=TeacherBank())
    assert ours.teacher is not None
    run = build_run(ours, recipe, horizon=len(data.train))
    assert isinstance(run.student.network.network, torch.nn.Module)
    run.student.network.network.load_state_dict(student.state_dict())
    box = common.box(teacher, student, data, recipe)
    teacher.eval()
    worst = 0.0
    for epoch in range(2):
        drawn = run.augment.draw(generator(0, "views", epoch), IMAGES, 0.0)
        for fetched in fetch(ours.train_data, drawn, torch.split(torch.arange(10 * 128), 128)):
            view = augmented_view(ours.train_data, run.augment, drawn, fetched)
            inputs = normalise(ours.train_data, view.inputs)
            batch = Batch(inputs, view.targets, torch.ones(len(fetched.index)), fetched.index)
            answer = ours.teacher.predict(inputs)
            mine = float(train_step(run, batch, {TEACHER: answer}, 0.0, ours.profile)[-1])
            theirs = box.forward_process(inputs, view.targets.argmax(1), {})
            box.post_forward_process(loss=theirs)
            worst = max(worst, abs(mine - float(theirs.detach())) / float(theirs.detach()))
    return worst


def throughput(rounds: int) -> dict[str, float]:
    """Time all variants in alternating blocks, print the table, and return the ratios to torchdistill.

    Each side has a process of its own, as in use: autokd's sets its memory allocator up.
    """
    with contextlib.ExitStack() as stack:
        workers: dict[str, Any] = {}
        for side in ("torchdistill", "autokd"):
            process = stack.enter_context(_worker(side))
            assert process.stdout is not None
            workers |= dict.fromkeys(json.loads(process.stdout.readline()), process)
        speeds: dict[str, list[float]] = {name: [] for name in workers}
        for round_ in range(-1, rounds):
            for name in list(workers)[:: 1 if round_ % 2 == 0 else -1]:
                speed = _ask(workers[name], name)
                if round_ >= 0:  # the first round warms up
                    speeds[name].append(speed)
    base = statistics.median(speeds["torchdistill"])
    print("| variant | images per CPU-second | ratio |\n|---|---|---|")
    for name, values in speeds.items():
        print(f"| {name} | {statistics.median(values):.0f} | {statistics.median(values) / base:.2f} |")
    return {name: statistics.median(values) / base for name, values in speeds.items()}


@contextlib.contextmanager
def _worker(side: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.torchdistill", "--worker", side]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _ask(process: Any, name: str) -> float:
    process.stdin.write(name + "\n")
    process.stdin.flush()
    return IMAGES / float(process.stdout.readline())


def _torchdistill(data: Dataset) -> Iterator[tuple[str, Callable[[], None]]]:
    def block_of(box: Any) -> Callable[[], None]:
        def block() -> None:
            for images, labels, extra in box.train_data_loader:
                box.post_forward_process(loss=box.forward_process(images, labels, extra))

        return block

    for name, evaluating in (("torchdistill", False), ("torchdistill, teacher.eval()", True)):
        teacher, student = networks(data.task.num_classes)
        box = common.box(teacher, student, data, common.spec())
        if evaluating:
            teacher.eval()
        yield name, block_of(box)


def _ours(data: Dataset) -> Iterator[tuple[str, Callable[[], None]]]:
    recipe = common.spec()

    def block_of(precision: str, *, warm: bool) -> Callable[[], None]:
        teacher, _ = networks(data.task.num_classes)
        context = common.context(data, teacher, precision=precision, bank=TeacherBank())
        _ = context.train_data, context.validation_data

        def block() -> None:
            if not warm:
                context.bank._memory.clear()
                context.bank._memory_bytes = 0
            train_rung(context, recipe, Rung(seed=0, view_seed=0, horizon=IMAGES, until=IMAGES))

        return block

    yield "warm fp32", block_of("float32", warm=True)
    yield "warm bf16", block_of("bfloat16", warm=True)
    yield "cold", block_of("float32", warm=False)
    yield "cold bf16", block_of("bfloat16", warm=False)


def accuracy(data_dir: str, *, train: int = 5000, epochs: int = 10, seeds: int = 3) -> None:
    """Compare the validation accuracy of both precisions, teacher trained first, on a part of CIFAR-100."""
    data = autokd_data.load("cifar100", autokd_data.DataOptions(data_dir=data_dir, limit_train=train))
    teacher, _ = networks(data.task.num_classes)
    context = common.context(data, teacher, precision="auto", bank=TeacherBank())
    recipe = common.spec()
    alone = dataclasses.replace(recipe, losses={"ce": recipe.losses["ce"]}, student=common.TorchdistillResNet(depth=20))
    samples = epochs * len(data.train)
    _, trained = train_rung(context, alone, Rung(seed=1, view_seed=1, horizon=samples, until=samples))
    teacher.load_state_dict({name.removeprefix("network."): value for name, value in trained["student"].items()})
    print(f"validation accuracy on {train} CIFAR-100 images, {epochs} epochs, {seeds} seeds:")
    for precision in ("float32", "bfloat16"):
        context = common.context(data, teacher, precision=precision, bank=TeacherBank())
        scores = [
            train_rung(context, recipe, Rung(seed=s, view_seed=s, horizon=samples, until=samples))[0].score
            for s in range(seeds)
        ]
        print(f"  {precision}: {statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}")


if __name__ == "__main__":
    main()
