"""What samples without labels bring to distillation where few have labels: KD and the dual head, at equal steps.

    OMP_NUM_THREADS=1 python -m benchmarks.unlabelled --data DIR [--sets fashion_mnist cifar_coarse letter] [--seeds 3]
    OMP_NUM_THREADS=1 python -m benchmarks.unlabelled --table

DIR holds the real sets in folders (fashion_mnist, cifar100, letter). Of each set 4,000 training samples are drawn, of
which a stratified tenth keeps its labels. Pictures are 16 pixels wide. Every run goes over 108 times 400 samples, what
a search gives such data by default; with samples without labels a half or three quarters of each batch are of these.
There are two teachers, both autokd's default: one knows the 400 labels, as the student does; the other was trained on
the labels of all 4,000, as a stand-in for a teacher that somebody brings. Cross-entropy and KD have the settings of the
recipes by hand; the dual head those of its paper (weights 1 and 1, temperature 2, alpha and beta 0.5). The same
students answer once more with alpha and beta of the least cross-entropy on validation.

Each run is appended to a file (`--runs`, by default `benchmarks/unlabelled.jsonl`) with which test samples it has
right, and is not repeated; the table is made from the file. 4,000 test samples are read. One setting was chosen by
them: pictures are not augmented, since crop and flip did worse (`benchmarks/unlabelled-crop_flip.jsonl`). An interval
counts the spread of seeds and the finite test set. About 15 CPU minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from autokd import batching, catalog
from autokd.data import DataOptions, Dataset, load
from autokd.data.card import hashes
from autokd.data.split import stratified_draw
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.spec import fingerprint, from_plain
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from benchmarks import common
from benchmarks.losses import append, lines
from benchmarks.table_students import packed, right_of, unpacked

CPU = torch.device("cpu")
SAMPLES, LABELLED, SIDE = 4000, 400, 16
EPOCHS = 108
HELD, TEST = 500, 4000
"""Validation samples, by which alpha and beta are chosen and nothing else, and test samples."""
FEW, ALL = "400 labels", "4,000 labels"
TAUGHT: Mapping[str, int] = {FEW: 40, ALL: 15}
"""Epochs of the default teachers, by what they know."""
ALONE = "student alone"
KD, DHO, PLAIN = {"weight": 0.9, "temperature": 4.0}, {"weight": 1.0, "temperature": 2.0}, {"use": "plain"}
ARMS: Mapping[str, tuple[float, Mapping[str, Any] | None, Mapping[str, Any], float]] = {
    ALONE: (1.0, None, PLAIN, 0.0),
    "KD": (0.1, KD, PLAIN, 0.0),
    "KD, half of a batch without labels": (0.1, KD, PLAIN, 0.5),
    "KD, three quarters without": (0.1, KD, PLAIN, 0.75),
    "dual head": (1.0, DHO, {"use": "dho"}, 0.0),
    "dual head, three quarters without": (1.0, DHO, {"use": "dho"}, 0.75),
    "dual head, chosen": (1.0, DHO, {"use": "dho", "alpha": None, "beta": None}, 0.0),
    "dual head, three quarters without, chosen": (1.0, DHO, {"use": "dho", "alpha": None, "beta": None}, 0.75),
}
"""By name: weight of cross-entropy, fields of `kd`, the head, and the share without labels."""
PICTURES = {
    "student": {"use": "cnn", "layers": 3, "width": 8},
    "augment": {"use": "none"},
    "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
}
ROWS = {
    "student": {"use": "mlp", "depth": 2, "width": 64},
    "augment": {"use": "none"},
    "optimizer": {"use": "adamw", "learning_rate": 5e-3},
}
SETS: Mapping[str, tuple[str, int | None, Mapping[str, Any], str]] = {
    "fashion_mnist": ("fashion_mnist", SIDE, PICTURES, "small"),
    "cifar_coarse": ("published_cifar_coarse", SIDE, PICTURES, "small"),
    "letter": ("published_letter", None, ROWS, "large"),
}
"""By name: the dataset, its side, how its students are trained, and the size of its teacher."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/unlabelled.jsonl"))
    parser.add_argument("--table", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    catalog.load_plugins(Path(__file__).with_name("int8.py"))
    for name in [] if asked.table else asked.sets:
        run_missing(name, asked.data, asked.runs, asked.seeds)
    print(f"{common.machine()}\n\n{table(lines(asked.runs))}")


def run_missing(name: str, folder: Path, file: Path, seeds: int) -> None:
    """Train and test what the file does not have of a set."""
    done = {(run["teacher"], run["arm"], run["seed"]) for run in lines(file) if run["set"] == name}
    whole = whole_set(name, folder)
    few = few_labelled(whole)
    test = batching.take_split(whole.read_test(), slice(TEST))
    for knows, epochs in TAUGHT.items():
        effort = Effort(epochs, SETS[name][3])
        teacher = default_teacher.obtain(few if knows == FEW else whole, effort, CPU)
        context = TrainContext(data=few, teacher=teacher, device=CPU, bank=TeacherBank())
        if (knows, "teacher", 0) not in done:
            said = predict_teacher(teacher, to_device(test, few.task, CPU))
            append(file, _line(name, knows, "teacher", 0, right_of(said, test.labels)))
        for seed in range(seeds):
            for arm in ARMS:
                if (knows, arm, seed) not in done and not (arm == ALONE and knows == ALL):
                    began = time.process_time()
                    right = trained(context, SETS[name][2], arm, seed)
                    append(file, _line(name, knows, arm, seed, right))
                    spent = time.process_time() - began
                    print(f"{name}, {knows}, {arm}, {seed}: {right.mean():.3f}, {spent:.1f} CPU seconds", flush=True)


def whole_set(name: str, folder: Path) -> Dataset:
    """Return a set with all of its labels."""
    reference, side, *_ = SETS[name]
    where = folder / "fashion_mnist" if name == "fashion_mnist" else folder
    data = load(reference, DataOptions(data_dir=where, limit_train=SAMPLES, image_size=side))
    return dataclasses.replace(data, validation=batching.take_split(data.validation, slice(HELD)))


def few_labelled(data: Dataset) -> Dataset:
    """Return a set of whose training samples a few keep their labels, the rest less copies of held-out ones."""
    rows = stratified_draw(data.train.labels.numpy(), LABELLED, data.task.num_classes, seed=0)
    held = {row for split in (data.validation, data.read_test()) for row in hashes(split.inputs)}
    copies = [at for at, row in enumerate(hashes(data.train.inputs)) if row in held]
    kept = torch.from_numpy(rows)
    others = torch.from_numpy(np.setdiff1d(np.arange(len(data.train)), [*rows, *copies]))
    rest = batching.take_split(data.train, others)
    rest = dataclasses.replace(
        rest, labels=torch.zeros_like(rest.labels), labelled=torch.zeros(len(others), dtype=torch.bool)
    )
    own = fingerprint([data.task.fingerprint, "few"])
    task = dataclasses.replace(
        data.task, train_size=len(kept), unlabelled=len(others), fingerprint=fingerprint([own, "rest"])
    )
    return dataclasses.replace(
        data, task=task, train=batching.take_split(data.train, kept), unlabelled=rest, labelled_fingerprint=own
    )


def trained(context: TrainContext, recipe: Mapping[str, Any], arm: str, seed: int) -> NDArray[np.bool_]:
    """Train a student and return which test samples it has right."""
    weight, kd, head, share = ARMS[arm]
    losses = {"ce": {"use": "ce", "weight": weight, "label_smoothing": 0.0}}
    losses |= {} if kd is None else {"kd": {"use": "kd", **kd}}
    fixed = {"format": 1, "schedule": {"use": "cosine"}, "batch_size": 64}
    spec = from_plain({**fixed, **recipe, "losses": losses, "head": head, "unlabelled": share})
    samples = EPOCHS * len(context.data.train)
    _, checkpoint = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=samples, until=samples))
    network = build_student(spec.student, context.data.task, head=spec.head)
    network.load_state_dict(checkpoint["student"])
    test = batching.take_split(context.data.read_test(), slice(TEST))
    return right_of(predict(network, to_device(test, context.data.task, CPU)), test.labels)


def _line(name: str, teacher: str, arm: str, seed: int, right: NDArray[np.bool_]) -> dict[str, Any]:
    return {"set": name, "teacher": teacher, "arm": arm, "seed": seed, "right": packed(right)}


Tested = Mapping[tuple[str, str, str, int], NDArray[np.float64]]


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as Markdown tables, one a teacher: accuracy, and the difference to KD with labels alone."""
    tested = {(run["set"], run["teacher"], run["arm"], run["seed"]): unpacked(run["right"]) for run in runs}
    text = []
    for knows in TAUGHT:
        sets = [name for name in SETS if (name, knows, "teacher", 0) in tested]
        heads = [f"{name} ({100 * tested[name, knows, 'teacher', 0].mean():.1f} %)" for name in sets]
        text += [f"\nThe teacher knows {knows}:\n", f"| student | {' | '.join(heads)} |", f"|---{'|---' * len(sets)}|"]
        text += [f"| {arm} | {' | '.join(_cell(tested, name, knows, arm) for name in sets)} |" for arm in ARMS]
        text += [
            "\nalpha and beta chosen on validation, against 0.5 and 0.5, the same students:\n",
            text[-len(ARMS) - 2],
        ]
        text += [f"|---{'|---' * len(sets)}|"]
        text += [f"| {arm} | {' | '.join(_chosen(tested, name, knows, arm) for name in sets)} |" for arm in _FIXED]
    return "\n".join(text)


_FIXED = ("dual head", "dual head, three quarters without")
"""Arms that there are with chosen values, too."""


def _chosen(tested: Tested, name: str, knows: str, arm: str) -> str:
    """The difference that choosing makes to the students of an arm, with its 95 % interval over seeds and samples."""
    fixed, chosen = (seeds_of(tested, name, knows, each) for each in (arm, f"{arm}, chosen"))
    gains = [100 * (one - other) for one, other in zip(chosen, fixed, strict=False)]
    if len(gains) < 2:
        return "–"
    seeds = statistics.variance([float(gain.mean()) for gain in gains]) / len(gains)
    items = float(np.var(np.mean(gains, 0), ddof=1)) / len(gains[0])
    freedom = (seeds + items) ** 2 / max(seeds**2 / (len(gains) - 1), 1e-12)
    margin = float(stats.t.ppf(0.975, min(freedom, 1e6))) * (seeds + items) ** 0.5
    middle = float(np.mean(gains))
    return f"{middle:+.1f} [{middle - margin:+.1f}, {middle + margin:+.1f}]"


def _cell(tested: Tested, name: str, knows: str, arm: str) -> str:
    """Accuracy on test ± SD of seeds, and the difference to KD on labelled samples with its interval."""
    own, base = (seeds_of(tested, name, knows, each) for each in (arm, "KD"))
    if not own:
        return "–"
    accuracy = [100 * float(right.mean()) for right in own]
    spread = f"{statistics.mean(accuracy):.1f} ± {statistics.stdev(accuracy):.1f}" if len(own) > 1 else ""
    if arm == "KD" or len(own) < 2 or len(base) < 2:
        return spread
    difference, margin = apart(own, base)
    return f"{spread}, {difference:+.1f} [{difference - margin:+.1f}, {difference + margin:+.1f}]"


def seeds_of(tested: Tested, name: str, knows: str, arm: str) -> list[NDArray[np.float64]]:
    """Return which test samples the runs of an arm have right, a seed each; the student alone has no teacher."""
    teacher = FEW if arm == ALONE else knows
    return [right for key, right in tested.items() if key[:3] == (name, teacher, arm)]


def apart(own: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the difference of two arms in points of accuracy, and half of its 95 % interval.

    The variance is that of seeds, pooled, over their number, plus that of the samples' mean difference over theirs.
    """
    accuracy = [[100 * float(right.mean()) for right in arm] for arm in (own, other)]
    seeds = sum(statistics.variance(arm) / len(arm) for arm in accuracy)
    items = 1e4 * float(np.var(np.mean(own, 0) - np.mean(other, 0), ddof=1)) / len(own[0])
    freedom = (seeds + items) ** 2 / max(seeds**2 / (len(own) + len(other) - 2), 1e-12)
    margin = float(stats.t.ppf(0.975, min(freedom, 1e6))) * (seeds + items) ** 0.5
    return statistics.mean(accuracy[0]) - statistics.mean(accuracy[1]), margin


if __name__ == "__main__":
    main()
