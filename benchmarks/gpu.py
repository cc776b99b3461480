"""Steps per second of a distillation on a GPU, beside the bare student's step and torchdistill.

    python -m benchmarks.gpu [--data-dir DIR] [--device cuda] [--batch 128] [--rounds 5]

resnet56 -> resnet20 (torchdistill's networks), 32x32, crop and flip, vanilla KD. Three loops, in alternating blocks of
one epoch's steps: the bare student (cross-entropy on one synthetic batch that stays on the device), autokd with a warm
teacher bank (augmentation, stored outputs and all), and torchdistill with its PIL loader. On CUDA the time is taken by
events, after a warm-up; figures are medians over blocks. With `--data-dir` the images are CIFAR-100's, else random.
Utilisation is the share of a block's wall time in which kernels ran, by the profiler's record of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from autokd import data as autokd_data
from autokd.batching import single
from autokd.data import Dataset
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.networks.models import seeded
from benchmarks import common


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12800)
    parser.add_argument("--trial-epochs", type=int, default=10)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    print(common.machine(), torch.cuda.get_device_name(device) if device.type == "cuda" else "")
    data = _data(asked)
    steps = asked.images // asked.batch
    blocks = {
        "bare student": _bare(data, device, asked.batch, steps),
        "autokd, warm bank": _ours(data, device, asked.batch),
        "torchdistill": _torchdistill(data, device, asked.batch),
    }
    rates: dict[str, list[float]] = {name: [] for name in blocks}
    for round_ in range(-1, asked.rounds):
        for name, block in blocks.items():
            seconds = _seconds(block, device)
            if round_ >= 0:  # the first round warms up
                rates[name].append(steps / seconds)
    median = {name: statistics.median(values) for name, values in rates.items()}
    print("| loop | steps per second | of the bare student | trials per hour |\n|---|---|---|---|")
    for name, rate in median.items():
        trials = 3600 * rate / (steps * asked.trial_epochs)
        print(f"| {name} | {rate:.1f} | {rate / median['bare student']:.2f} | {trials:.1f} |")
    print(f"a trial is {asked.trial_epochs} epochs of {asked.images} images; utilisation of autokd's loop: ", end="")
    print(_utilisation(blocks["autokd, warm bank"], device))


def _data(asked: argparse.Namespace) -> Dataset:
    if not asked.data_dir:
        return common.random_images(asked.images)
    loaded = autokd_data.load("cifar100", autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    return common.in_memory(single(loaded.train.inputs), loaded.train.labels, loaded.task.num_classes)


def _networks(num_classes: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    with seeded(0):
        return common.resnet(56, num_classes), common.resnet(20, num_classes)


def _bare(data: Dataset, device: torch.device, batch: int, steps: int) -> Callable[[], None]:
    _, student = _networks(data.task.num_classes)
    student = student.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.randn(batch, *data.task.input_shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, data.task.num_classes, (batch,), device=device)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9, foreach=True)
    half = device.type == "cuda"

    def block() -> None:
        for _ in range(steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = student(inputs)
            loss = cross_entropy(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()

    return block


def _ours(data: Dataset, device: torch.device, batch: int) -> Callable[[], None]:
    teacher, _ = _networks(data.task.num_classes)
    context = common.context(data, teacher, precision="auto", bank=TeacherBank(), device=str(device))
    recipe = common.spec(batch_size=batch, depth=20)
    size = len(data.train)
    return lambda: _drop(train_rung(context, recipe, Rung(seed=0, view_seed=0, horizon=size, until=size)))


def _torchdistill(data: Dataset, device: torch.device, batch: int) -> Callable[[], None]:
    teacher, student = _networks(data.task.num_classes)
    box = common.box(teacher.to(device), student.to(device), data, common.spec(batch_size=batch), str(device))

    def block() -> None:
        for images, labels, extra in box.train_data_loader:
            loss = box.forward_process(images.to(device), labels.to(device), extra)
            box.post_forward_process(loss=loss)

    return block


def _drop(result: Any) -> None:
    """Forget a result: only the time counts."""


def _seconds(block: Callable[[], None], device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        block()
        return time.perf_counter() - began
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    block()
    end.record()
    torch.cuda.synchronize(device)
    return float(start.elapsed_time(end)) / 1000


def _utilisation(block: Callable[[], None], device: torch.device) -> str:
    """Share of a block's wall time in which kernels ran, from the profiler's record of them."""
    if device.type != "cuda":
        return "no CUDA device"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as recorded:
        began = time.perf_counter()
        block()
        torch.cuda.synchronize(device)
        wall = time.perf_counter() - began
    busy = sum(event.self_device_time_total for event in recorded.key_averages()) / 1e6
    return f"{100 * busy / wall:.0f} %"


if __name__ == "__main__":
    main()
