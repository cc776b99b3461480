"""How long proxies take: one student, and a thousand inside a budget, beside ranking the students by training them.

    OMP_NUM_THREADS=1 python -m benchmarks.screening_speed [--students 30] [--cores 2] [--proxies NAME ...]
    OMP_NUM_THREADS=1 python -m benchmarks.screening_speed --really 1000 --proxies diswot

Students of up to 10 M multiply-accumulates on 32x32 pictures are drawn uniformly from `resnet_cifar`, `nasbench201` and
`mobilenet`, and scored on 64 random pictures by every proxy, on one thread; the teacher has answered before. Seconds
are CPU seconds with building the student, so that a busy machine does not count. A thousand candidates are extrapolated
from the mean: nothing is searched here. `--really` scores so many on all the cores, as a search does, and gives wall
seconds; the students are drawn, and their costs known, before. Training is what DisWOT compares with: 240 epochs of
CIFAR-100's 50,000 pictures, from the measured time of a step of 64, without teacher, validation and reading.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from typing import Any

import numpy as np
import torch

from autokd import catalog, spec
from autokd.components import StudentComponent
from autokd.execution.copies import spread_over_copies
from autokd.networks import cost
from autokd.networks.models import NetworkTeacher
from autokd.proxies.gradients import weight_gradients
from autokd.proxies.untrained import untrained_student
from autokd.ranges import Choice, Integer, Range
from autokd.spec import make
from autokd.testing.proxies import student
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Output, Proxy, ScreenInput
from benchmarks import common
from benchmarks.nasbench201 import Fixed

TASK = task_of((3, 32, 32), classes=100)
FAMILIES, LIMIT, BATCH = ("resnet_cifar", "nasbench201", "mobilenet"), 10_000_000, 64
STEPS = 240 * 50_000 // BATCH
"""Of DisWOT's full training."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--proxies", nargs="+", default=catalog.names("proxies"))
    parser.add_argument("--really", type=int, help="score so many on all the cores")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.really:
        really(asked.really, asked.proxies, asked.cores)
        return
    screens = [screened(*each) for each in candidates(asked.students)]
    training = STEPS * float(np.mean([step_seconds(screen) for screen in screens]))
    print(f"{common.machine()}; {len(screens)} students, mean of CPU seconds\n")
    print(f"| proxy | ms a student | 1,000 students, s on {asked.cores} cores | training takes so many times as long |")
    print("|---|---|---|---|")
    context = BuildContext(task=TASK, teacher=taught().offers)
    for name in asked.proxies:
        score = make("proxies", name, {}).build(context)
        few = screens[:5] if name == "few_steps" else screens
        score(few[0])
        began = time.process_time()
        for screen in few:
            score(screen)
        seconds = (time.process_time() - began) / len(few)
        whole = 1000 * seconds / asked.cores
        print(f"| `{name}` | {1000 * seconds:.1f} | {whole:.0f} | {training / seconds:,.0f} |", flush=True)


def really(count: int, names: list[str], cores: int) -> None:
    """Score students on all cores, and print the wall seconds of each proxy."""
    students = candidates(count)
    context = BuildContext(task=TASK, teacher=taught().offers)
    print(f"{common.machine()}; {count} students, wall seconds\n\n| proxy | {cores} cores | finite |\n|---|---|---|")
    for name in names:
        score = make("proxies", name, {}).build(context)
        score(screened(*students[0]))
        began = time.monotonic()
        found = dict(spread_over_copies(functools.partial(scored, score), students, cores))
        print(f"| `{name}` | {time.monotonic() - began:.1f} | {sum(map(math.isfinite, found.values()))} |", flush=True)


def scored(proxy: Proxy, student: tuple[str, dict[str, Any]]) -> float:
    """Return a proxy's score of a student."""
    return float(proxy(screened(*student)))


def candidates(count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return students inside the budget, each family in turn, their fields drawn uniformly."""
    rng = np.random.default_rng(0)
    found: list[tuple[str, dict[str, Any]]] = []
    while len(found) < count:
        name = FAMILIES[len(found) % len(FAMILIES)]
        fields = spec.fields_of(catalog.load("students", name))
        values = {field: drawn(info.range, rng) for field, info in fields.items() if info.range is not None}
        component: StudentComponent = make("students", name, values)
        if cost.student_cost(component, TASK).macs <= LIMIT:
            found.append((name, values))
    return found


def drawn(values: Range, rng: np.random.Generator) -> Any:
    """Return one of a range's values, each as likely; the students here have no others than these two kinds."""
    if isinstance(values, Integer):
        return int(rng.choice(np.arange(values.low, values.high + 1, values.step)))
    assert isinstance(values, Choice)
    return values.options[int(rng.integers(len(values.options)))]


def screened(name: str, fields: dict[str, Any]) -> ScreenInput:
    """Return what a proxy sees of a student."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(BATCH, *TASK.input_shape, generator=generator)
    labels = torch.randint(TASK.num_classes, (BATCH,), generator=generator)
    return ScreenInput(build=student(TASK, name, **fields), task=TASK, inputs=inputs, labels=labels, teacher=taught())


@functools.cache
def taught() -> Fixed:
    """Return a teacher that has answered the batch."""
    teacher = NetworkTeacher([student(TASK, "resnet_cifar")(0)], TASK, origin="random")
    answer: Output = teacher.predict(torch.randn(BATCH, *TASK.input_shape))
    return Fixed(answer, teacher.offers)


def step_seconds(screen: ScreenInput) -> float:
    """Return the CPU seconds of a step's forward and backward pass."""
    network = untrained_student(screen)
    weight_gradients(network, screen.inputs, screen.labels)
    began = time.process_time()
    weight_gradients(network, screen.inputs, screen.labels)
    return time.process_time() - began


if __name__ == "__main__":
    main()
