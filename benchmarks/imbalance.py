"""A class of one in a hundred: losses and a selection for rare classes, each beside plain cross-entropy.

    OMP_NUM_THREADS=1 python -m benchmarks.imbalance --data DIR [--sets telco adult fashion_mnist] [--seeds 5]

DIR holds the real sets in folders. Of adult and telco the rows of the smaller class, of Fashion-MNIST the shirts, are
thinned in training and validation until they are 1 %; at most 4,000 samples train. The teacher is trained on the same
samples: autokd's default one for tables, a residual network for pictures. Every arm trains at its components' defaults
under the same seeds, alone and with KD at two weights; nothing is tuned or chosen.

Test keeps all samples of the thinned class (at most 3,000 samples in all), and macro F1 is computed as if the classes
had the shares that they have in training; balanced accuracy does not depend on shares. So both say what the students
would reach on data like those that they are trained on, with less noise than a handful of test samples would leave.
Each run is appended to a file (`--runs`, by default `benchmarks/imbalance.jsonl`) with its answers on test, and is not
repeated. Intervals are of the difference to `ce`; they count the spread of seeds and the finite test set (bootstrap
within classes). About ten CPU minutes.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import statistics
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from autokd import batching
from autokd.data import DataOptions, Dataset, load
from autokd.engine.artefacts import Artefacts
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.spec import component_to_plain, from_plain, make
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from autokd.types import Split, Teacher
from benchmarks import boosted, common
from benchmarks.losses import append, benchmark_teacher, lines

CPU = torch.device("cpu")
SHARE, TRAIN, TEST = 0.01, 4_000, 3_000
"""Share of the thinned class, most samples that train, and most that test."""
KD = (0.0, 0.1, 1.0)
"""Weights of KD (temperature 2) beside the loss on labels."""
SHIRT = 6
TEACHER = "teacher"
ARMS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "ce": {},
    "weighted_ce": {"loss": {"use": "weighted_ce"}},
    "focal": {"loss": {"use": "focal"}},
    "logit_adjusted": {"loss": {"use": "logit_adjusted"}},
    "balanced": {"selection": {"use": "balanced"}},
}
"""The arms, by what differs from cross-entropy on all samples."""
Confusion = NDArray[np.float64]


class Kind(NamedTuple):
    """How students of a kind of input are trained.

    Args:
      student, augment, optimizer: plain.
      epochs: of a student.
    """

    student: Mapping[str, Any]
    augment: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    epochs: int


ADAMW = {"use": "adamw", "learning_rate": 4e-3, "weight_decay": 1e-2}
KINDS = {
    "table": Kind({"use": "mlp", "depth": 2, "width": 48, "dropout": 0.0}, {"use": "none"}, ADAMW, 20),
    "image": Kind({"use": "cnn", "layers": 3, "width": 8}, {"use": "crop_flip", "padding": 0.125}, ADAMW, 6),
}


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["telco", "adult", "fashion_mnist"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/imbalance.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.sets:
        measure(name, asked)
    print(f"{common.machine()}; {asked.seeds} seeds\n{tables(lines(asked.runs))}")


def loaded(name: str, folder: Path) -> tuple[Dataset, int]:
    """Return a set whose rare class is thinned in training and validation, and which class that is."""
    if name == "fashion_mnist":
        data, rare = load(name, DataOptions(data_dir=folder / name)), SHIRT
    else:
        with TemporaryDirectory() as scratch:
            file = Path(scratch) / f"{name}.csv"
            boosted.SETS[name](folder).sample(frac=1, random_state=0).to_csv(file, index=False)
            data = load(file, DataOptions(target="label"))
        rare = int(np.argmin(data.class_counts))
    train, validation = (thinned(split, rare, TRAIN) for split in (data.train, data.validation))
    task = dataclasses.replace(
        data.task, train_size=len(train), fingerprint=f"{data.task.fingerprint}-{SHARE}-{rare}-{len(train)}"
    )
    test = data.read_test()
    few = batching.take_split(test, torch.randperm(len(test), generator=generator())[:TEST].sort().values)
    return dataclasses.replace(data, train=train, validation=validation, task=task, _test=few), rare


def generator() -> torch.Generator:
    """Return the generator of all draws of samples."""
    return torch.Generator().manual_seed(0)


def thinned(split: Split, rare: int, most: int) -> Split:
    """Return at most so many samples of a split, of which a class has the share that it is to have."""
    order = torch.randperm(len(split), generator=generator())
    is_rare = split.labels[order] == rare
    others, few = order[~is_rare], order[is_rare]
    others = others[: round((1 - SHARE) * most)]
    kept = torch.cat([others, few[: max(1, round(SHARE / (1 - SHARE) * len(others)))]])
    return batching.take_split(split, kept.sort().values)


def taught(name: str, data: Dataset, runs: Path) -> Teacher:
    """Return a teacher that was trained on the thinned samples."""
    if data.task.modality == "image":
        return benchmark_teacher(data, 8, runs.with_suffix(".teacher.pt"))
    return default_teacher.obtain(data, Effort(20), CPU)


def measure(name: str, asked: Any) -> None:
    """Append what is missing of a set to the file of runs."""
    done = {(run["set"], run["arm"], run["kd"], run["seed"]) for run in lines(asked.runs)}
    data, rare = loaded(name, asked.data)
    teacher, test = taught(name, data, asked.runs), data.read_test()
    about = {"set": name, "rare": rare, "counts": data.class_counts, "test": test.labels.bincount().tolist()}
    if (name, TEACHER, 0.0, 0) not in done:
        answers = predict_teacher(teacher, to_device(test, data.task, CPU)).argmax(1)
        line = {**about, "arm": TEACHER, "kd": 0.0, "seed": 0, "seconds": 0.0}
        append(asked.runs, line | {"labels": packed(test.labels), "answers": packed(answers)})
    context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank(), artefacts=Artefacts(None))
    for seed in range(asked.seeds):
        for arm in ARMS:
            for weight in KD:
                if (name, arm, weight, seed) not in done:
                    began = time.process_time()
                    answers = answered(context, pipeline(data, arm, weight), seed)
                    seconds = round(time.process_time() - began, 2)
                    line = {**about, "arm": arm, "kd": weight, "seed": seed, "seconds": seconds}
                    append(asked.runs, line | {"answers": packed(answers)})
                    print(name, arm, weight, seed, seconds, flush=True)


def pipeline(data: Dataset, arm: str, weight: float) -> dict[str, Any]:
    """Return the plain pipeline of an arm."""
    kind, made = KINDS[data.task.modality], ARMS[arm]
    loss = made.get("loss", {"use": "ce"})
    uses = [loss["use"], *(["kd"] if weight else [])]
    values: Mapping[str, Mapping[str, Any]] = {
        "ce": {"label_smoothing": 0.0},
        "kd": {"weight": weight, "temperature": 2.0},
    }
    losses = {use: component_to_plain(make("losses", use, values.get(use, {}))) for use in uses}
    selection = {"selection": component_to_plain(make("selections", "balanced", {}))} if "selection" in made else {}
    parts = {"student": kind.student, "augment": kind.augment, "optimizer": kind.optimizer, **selection}
    return {"format": 1, **parts, "losses": losses, "schedule": {"use": "one_cycle"}, "batch_size": 64}


def answered(context: TrainContext, plain: Mapping[str, Any], seed: int) -> torch.Tensor:
    """Train a pipeline under a seed; return the classes that it gives the test samples."""
    data, spec = context.data, from_plain(plain)
    horizon = KINDS[data.task.modality].epochs * len(data.train)
    list(prepare_artefacts(context, spec))
    _, checkpoint = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=horizon, until=horizon))
    network = build_student(spec.student, data.task, CPU)
    network.load_state_dict(checkpoint["student"])
    return predict(network, to_device(data.read_test(), data.task, CPU)).argmax(1)


def packed(classes: torch.Tensor) -> str:
    """Return classes below 256 as text."""
    return base64.b85encode(zlib.compress(classes.cpu().numpy().astype(np.uint8).tobytes(), 9)).decode()


def unpacked(text: str) -> NDArray[np.int64]:
    """Return what was packed."""
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), np.uint8).astype(np.int64)


def balanced_accuracy(confusion: Confusion) -> float:
    """Return the mean recall, given the share of answers [label, answer] among each label's samples."""
    return 100 * float(np.diag(confusion).mean())


def macro_f1(confusion: Confusion, shares: NDArray[np.float64]) -> float:
    """Return the mean F1 where classes have these shares."""
    joint = confusion * shares[:, None]
    return 100 * float((2 * np.diag(joint) / np.maximum(joint.sum(0) + joint.sum(1), 1e-12)).mean())


def confusion_of(labels: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> Confusion:
    """Return the share of each answer among the samples of each label, [C, C]."""
    counts = np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def tables(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as Markdown tables, a set each."""
    text = []
    for name in dict.fromkeys(run["set"] for run in runs):
        own = [run for run in runs if run["set"] == name]
        text += [f"\n{name}: {own[0]['counts'][own[0]['rare']]} of {sum(own[0]['counts']):,} training samples\n"]
        text += ["| | balanced accuracy, % | against `ce` | macro F1, % | against `ce` | recall of the class, % |"]
        text += ["|---|---|---|---|---|---|", *(row(own, *key) for key in keys(own))]
    return "\n".join(text)


def keys(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Return arms and their weights of KD, those alone first."""
    found = dict.fromkeys((run["arm"], run["kd"]) for run in runs)
    return sorted(found, key=lambda key: (key[0] != TEACHER, key[1]))


def row(runs: Sequence[Mapping[str, Any]], arm: str, weight: float) -> str:
    """Return a row: both metrics with the spread of seeds, and their differences to `ce` with 95 % intervals."""
    (labels,) = (unpacked(run["labels"]) for run in runs if run["arm"] == TEACHER)
    counts = np.array(runs[0]["counts"], float)
    shares = counts / counts.sum()
    own, plain = ([unpacked(r["answers"]) for r in picked(runs, a, weight)] for a in (arm, "ce"))

    def both(answers: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        confusion = confusion_of(labels[rows], answers[rows], len(counts))
        return np.array([balanced_accuracy(confusion), macro_f1(confusion, shares), 100 * confusion[rare, rare]])

    rare, every = runs[0]["rare"], np.arange(len(labels))
    values = np.array([both(each, every) for each in own])
    means = [f"{mean:.1f}{spread(column)}" for mean, column in zip(values.mean(0), values.T, strict=True)]
    title = arm if arm == TEACHER else f"`{arm}`{f' + {weight:g} `kd`' if weight else ''}"
    if arm in (TEACHER, "ce"):
        return f"| {title} | {means[0]} | | {means[1]} | | {means[2]} |"
    base = np.array([both(each, every) for each in plain])
    draws = np.array([difference(own, plain, resampled(labels, seed), both) for seed in range(200)])
    told = [interval(values[:, i] - base[:, i], float(draws[:, i].var(ddof=1))) for i in range(2)]
    return f"| {title} | {means[0]} | {told[0]} | {means[1]} | {told[1]} | {means[2]} |"


def picked(runs: Sequence[Mapping[str, Any]], arm: str, weight: float) -> list[Mapping[str, Any]]:
    """Return the runs of an arm by seed; of the teacher its answers."""
    found = [run for run in runs if run["arm"] == arm and run["kd"] == weight]
    return sorted(found, key=lambda run: run["seed"])


def spread(values: NDArray[np.float64]) -> str:
    """Return the standard deviation of some values, as text; "" of one."""
    return f" ± {statistics.stdev(values.tolist()):.1f}" if len(values) > 1 else ""


def resampled(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return rows drawn with replacement, of each class as many as it has."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == each) for each in np.unique(labels)]
    return np.concatenate([rng.choice(rows, len(rows)) for rows in members])


def difference(own: Any, plain: Any, rows: NDArray[np.int64], both: Any) -> NDArray[np.float64]:
    """Return the mean difference of the metrics on some rows."""
    pairs = zip(own, plain, strict=True)
    return np.asarray(np.mean([both(a, rows) - both(b, rows) for a, b in pairs], 0))


def interval(differences: NDArray[np.float64], rows: float) -> str:
    """Return a mean difference, paired by seed, with its 95 % interval; `rows` is the variance of the test set."""
    seeds = float(differences.var(ddof=1)) / len(differences)
    if not seeds + rows:
        return f"{float(differences.mean()):+.1f}"
    freedom = (seeds + rows) ** 2 / max(seeds**2 / (len(differences) - 1), 1e-12)
    margin, mean = float(stats.t.ppf(0.975, min(freedom, 1e6))) * (seeds + rows) ** 0.5, float(differences.mean())
    return f"{mean:+.1f} [{mean - margin:+.1f}, {mean + margin:+.1f}]"


if __name__ == "__main__":
    main()
