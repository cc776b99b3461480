"""Every distillation loss at its defaults, beside the student alone, at equal steps; and what its step costs.

    python -m benchmarks.losses --dataset fashion_mnist --data-dir DIR [--images 5000] [--epochs 6] [--seeds 3]
    python -m benchmarks.losses --dataset cifar100 --data-dir DIR [--only dml ...]
    python -m benchmarks.losses --cost

The teacher is a residual network (depth 8, width 32) trained once on the same images; the student is one of width 8.
Cross-entropy has weight 1 in every run, and the loss its default weight. Crop and flip, SGD, cosine. `dml` has a peer
of the student's own kind, and stands once beside cross-entropy alone and once beside `kd`. Each run is
appended to a file (`--runs`, by default `benchmarks/losses-DATASET.jsonl`) as it ends, and is not repeated; the table
is made from the file. Accuracy is on the official test split: nothing is chosen by it here.

`--cost` times training steps instead (minutes): CPU time of a step with cross-entropy and the loss over that
of a step with cross-entropy alone, interleaved, the teacher's outputs at hand, on random images of 32x32 in batches of
64, of a set of 50,000 with 100 classes. ResNet-56 teaches ResNet-20, and for losses on tokens a vision transformer of
12 blocks one of 6. For `dml` the peer's outputs are at hand, too: what its training takes is counted by the peer, in
`autokd.search.timing.pace`. The classes that the losses declare as `cost` are those of `benchmarks/losses-cost.jsonl`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autokd import catalog, compat, metrics
from autokd import data as autokd_data
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.hooks import hooked
from autokd.networks.models import NetworkTeacher, as_output, seeded, shapes_of
from autokd.space import parse
from autokd.spec import component_from_plain, component_to_plain, from_plain, make, without_idle
from autokd.types import BuildContext, Checkpoint, Output, PrepareContext, Shapes, Step, Task, Teacher, Term
from benchmarks import common

ALONE = "(student alone)"
TEACHER = {"use": "resnet", "depth": 8, "width": 32}
STUDENT = {"use": "resnet", "depth": 8, "width": 8}
TOGETHER = ("kd + dml",)
"""Losses that are tried together."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dataset")
    what.add_argument("--cost", action="store_true")
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--teacher-epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--only", nargs="+", metavar="LOSS", help="instead of all of them")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.cost:
        measure_costs(asked.runs or Path("benchmarks/losses-cost.jsonl"))
        return
    runs = asked.runs or Path(f"benchmarks/losses-{asked.dataset}.jsonl")
    data = autokd_data.load(asked.dataset, autokd_data.DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    teacher = benchmark_teacher(data, asked.teacher_epochs, runs.with_suffix(".teacher.pt"))
    parts = frozenset({"pooled"})
    context = TrainContext(data=data, teacher=teacher, device=torch.device("cpu"), bank=TeacherBank(), parts=parts)
    done = read(runs)
    for seed in range(asked.seeds):
        for name in asked.only or _usable(data, teacher):
            if (name, seed) not in done:
                append(runs, run(context, name, seed, asked.epochs))
    print(f"{common.machine()}; {asked.dataset}, {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    print(f"teacher: test accuracy {accuracy_of_teacher(teacher, data):.4f}")
    print(table(read(runs)))


def table(runs: dict[tuple[str, int], dict[str, Any]]) -> str:
    """Return the runs as a Markdown table, best loss first."""
    by_loss: dict[str, list[dict[str, Any]]] = {}
    for (name, _), run in runs.items():
        by_loss.setdefault(name, []).append(run)
    alone = statistics.mean(run["accuracy"] for run in by_loss[ALONE])
    rows = ["| loss | test accuracy, % | against alone | CPU seconds a run |", "|---|---|---|---|"]
    for name, found in sorted(by_loss.items(), key=lambda item: -_mean(item[1], "accuracy")):
        scores = [100 * run["accuracy"] for run in found]
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        gain = round(statistics.mean(scores) - 100 * alone, 1) + 0.0  # not -0.0
        seconds = _mean(found, "seconds")
        score = f"{statistics.mean(scores):.1f}{spread} (n={len(scores)})"
        rows.append(f"| {name} | {score} | {gain:+.1f} | {seconds:.0f} |")
    return "\n".join(rows)


def measure_costs(file: Path) -> None:
    """Append what a step of each loss that is not in the file costs."""
    done = {line["loss"] for line in lines(file)}
    classes = tuple(map(str, range(100)))
    task = Task(dataset="random", modality="image", input_shape=(3, 32, 32), classes=classes, train_size=50_000)
    for name in catalog.names("losses"):
        if name not in done:
            ratio = round(_step_cost(name, task), 2)
            print(f"{name}: {ratio}", flush=True)
            append(file, {"loss": name, "ratio": ratio, "cost": cost_class(ratio)})


def cost_class(ratio: float) -> float:
    """Return the class of `autokd.losses.common.COSTS` that a measured ratio of step times falls into."""
    return next(cost for cost, bound in ((1.0, 1.1), (1.2, 1.3), (1.6, 2.0), (2.0, math.inf)) if ratio < bound)


def _step_cost(name: str, task: Task) -> float:
    """CPU time of a step with the loss over that of a step without it, medians of 15 steps each."""
    cls, generator = catalog.load("losses", name), torch.Generator().manual_seed(0)
    with seeded(0):
        student, teacher = _pair(task, tokens=bool(cls.declares.reads & {"tokens", "attention"}))
        offers = shapes_of(teacher, task)._replace(head=True)
        student = make("heads", _head(name)["use"], {}).build(BuildContext(task=task, teacher=offers))(student)
        ce, term = (_built(loss, student, offers, task) for loss in ("ce", name))
        modules = nn.ModuleList([student, *(t for t in (term,) if isinstance(t, nn.Module))])
        optimizer = torch.optim.SGD(modules.parameters(), 1e-4, momentum=0.9)
    inputs, labels = torch.randn(64, 3, 32, 32, generator=generator), torch.arange(64)
    with torch.no_grad():
        answer = as_output(teacher(inputs))
    spent: dict[int, list[float]] = {1: [], 2: []}
    for number in range(32):
        terms = [ce, term][: 1 + number % 2]
        index = (labels + 64 * number) % task.train_size
        began = time.process_time()
        step = Step(as_output(student(inputs)), answer, torch.eye(100)[labels], torch.ones(64), index, 0.5)
        step = dataclasses.replace(step, members=(answer,) * 2) if cls.declares.members else step
        optimizer.zero_grad()
        torch.stack([loss(step).mean() for loss in terms]).sum().backward()
        optimizer.step()
        spent[len(terms)].append(time.process_time() - began)
    return statistics.median(spent[2][1:]) / statistics.median(spent[1][1:])


def _pair(task: Task, *, tokens: bool) -> tuple[nn.Module, nn.Module]:
    """A student in training mode and a teacher."""
    if tokens:
        compat.torchvision()
        timm = importlib.import_module("timm.models.vision_transformer")
        sizes = ({"embed_dim": 96, "depth": 6, "num_heads": 3}, {"embed_dim": 192, "depth": 12, "num_heads": 3})
        made = (timm.VisionTransformer(img_size=32, patch_size=4, num_classes=100, **size) for size in sizes)
        student, teacher = (hooked(network.eval(), task) for network in made)
    else:
        build = BuildContext(task=task)
        student, teacher = (make("students", "resnet", {"depth": d, "width": 16}).build(build) for d in (20, 56))
    return student.train(), teacher.eval()


def _built(name: str, student: nn.Module, teacher: Shapes, task: Task) -> Term:
    loss = make("losses", name, {})
    context = BuildContext(task=task, student=shapes_of(student, task), teacher=teacher)
    if loss.declares.prepared_from is not None:
        outputs = Output(torch.randn(5000, 100), pooled=torch.randn(5000, teacher.pooled or 1))
        labels = torch.arange(5000) % 100
        known = PrepareContext(task=task, labels=labels, teacher=outputs, reference=lambda rows, seed: outputs.logits)
        context = dataclasses.replace(context, artefact=loss.prepare(known))
    term: Term = loss.build(context)
    return term


def _mean(runs: list[dict[str, Any]], key: str) -> float:
    return float(statistics.mean(run[key] for run in runs))


def _usable(data: Dataset, teacher: Teacher) -> list[str]:
    """The student alone, and every loss that this teacher and student can feed."""
    beside = (name for name in catalog.names("losses") if not catalog.load("losses", name).declares.replaces)
    names = ", ".join(f"{name}: {{}}" for name in beside if name != "ce")
    text = (
        "student: {always: {resnet: {depth: 8, width: 8}}}\nhead: {one_of: {plain: {}, simkd: {}}}\n"
        "peer: {always: {resnet: {depth: 8, width: 8}}}\n"
        "augment: {always: {none: {}}}\n"
        f"losses: {{always: {{ce: {{}}}}, any_of: {{at_most: 1, from: {{{names}}}}}}}\n"
        "optimizer: {always: {sgd: {}}}\nschedule: {always: {cosine: {}}}\nbatch_size: 64\n"
        "objective: {accuracy: maximize}\n"
    )
    space = parse(text, "benchmark").resolve(data.task, teacher.offers)
    flags = [path for path in space.ranges() if path.startswith("losses.") and path.count(".") == 1]
    return [ALONE, *(path.partition(".")[2] for path in flags), *TOGETHER]


def pipeline(name: str) -> dict[str, Any]:
    """Return the plain pipeline with a loss beside cross-entropy; `ALONE` for none."""
    losses = {"ce": component_to_plain(make("losses", "ce", {"weight": 1.0}))}
    if name != ALONE:
        losses |= {use: component_to_plain(make("losses", use, {})) for use in name.split(" + ")}
    plain = {
        "format": 1,
        "student": STUDENT,
        "peer": STUDENT,
        "head": _head(name),
        "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
        "losses": losses,
        "optimizer": {"use": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4},
        "schedule": {"use": "cosine"},
        "batch_size": 64,
    }
    return without_idle(plain)


def _head(name: str) -> dict[str, Any]:
    """The head that a loss requires, with its defaults; else the plain one."""
    uses = () if name == ALONE else name.split(" + ")
    required = [other for use in uses for other in catalog.load("losses", use).declares.requires]
    heads = [other.partition(".")[2] for other in required if other.startswith("head.")]
    return component_to_plain(make("heads", heads[0] if heads else "plain", {}))


def run(context: TrainContext, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train a student with a loss under a seed, and test it."""
    samples = epochs * len(context.data.train)
    began = time.process_time()
    rung = Rung(seed=seed, view_seed=seed, horizon=samples, until=samples)
    spec = from_plain(pipeline(name))
    list(prepare_artefacts(context, spec))
    _, trained = train_rung(context, spec, rung)
    seconds = time.process_time() - began
    accuracy = accuracy_of(trained, context, _head(name))
    print(f"{name}, seed {seed}: {100 * accuracy:.1f} % in {seconds:.1f} CPU seconds", flush=True)
    return {"loss": name, "seed": seed, "accuracy": accuracy, "seconds": seconds}


def accuracy_of(trained: Checkpoint, context: TrainContext, head: dict[str, Any] | None = None) -> float:
    """Return the accuracy of a trained student on test."""
    student = _network(STUDENT, context.data, head=head, teacher=context.teacher)
    student.load_state_dict(trained["student"])
    test = context.data.read_test()
    logits = predict(student, to_device(test, context.data.task, context.device))
    return metrics.accuracy(metrics.predictions(logits, test.labels))


def benchmark_teacher(data: Dataset, epochs: int, file: Path) -> NetworkTeacher:
    """Train the teacher, or load it where it was trained before."""
    network = _network(TEACHER, data)
    if not file.exists():
        context = TrainContext(data=data, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
        taught = {**pipeline(ALONE), "student": TEACHER, "schedule": {"use": "one_cycle"}}
        samples = epochs * len(data.train)
        rung = Rung(seed=0, view_seed=0, horizon=samples, until=samples)
        _, trained = train_rung(context, from_plain(taught), rung)
        torch.save(trained["student"], file)
    network.load_state_dict(torch.load(file, weights_only=True))
    return NetworkTeacher([network], data.task, origin="benchmark")


def _network(
    plain: dict[str, Any], data: Dataset, head: dict[str, Any] | None = None, teacher: Teacher | None = None
) -> nn.Module:
    made = None if head is None else component_from_plain("heads", head)
    offers = None if teacher is None else teacher.offers
    with seeded(0):
        return build_student(component_from_plain("students", plain), data.task, head=made, teacher=offers)


def accuracy_of_teacher(teacher: NetworkTeacher, data: Dataset) -> float:
    """Return its accuracy on test."""
    test = data.read_test()
    logits = predict(teacher.modules[0], to_device(test, data.task, torch.device("cpu")))
    return metrics.accuracy(metrics.predictions(logits, test.labels))


def read(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the runs in a file, by loss and seed."""
    return {(run["loss"], run["seed"]): run for run in lines(path)}


def lines(path: Path) -> list[dict[str, Any]]:
    """Return what the lines of a file of JSON hold; [] where there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append(path: Path, run: dict[str, Any]) -> None:
    """Write a run at the end of a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


if __name__ == "__main__":
    main()
