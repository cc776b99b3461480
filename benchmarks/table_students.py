"""The families of students for tables beside boosted trees, at two limits of parameters, by plain KD.

    OMP_NUM_THREADS=1 python -m benchmarks.table_students --data DIR [--sets adult letter telco credit] [--seeds 3]

DIR holds the real sets in folders (adult, letter, telco_churn, credit_g). Of adult and letter 10,000 rows are drawn,
and of each set at most 2,000 train; a fifth of all rows is the test split. The teacher is autokd's default one. Each
family gets six settings at each limit: six learning rates, the same for all, crossed with choices of its own, and the
largest width inside the limit. They are trained once by cross-entropy and KD; the best on validation is trained under
three fresh seeds, and those are tested. Boosted trees (scikit-learn's, 100 rounds) train on the same rows and labels.

Each run is appended to a file (`--runs`, by default `benchmarks/table_students.jsonl`) with which test rows it has
right, and is not repeated; the tables are made from the file. Nothing is chosen by test. An interval is of the
difference to the boosted trees, and counts the spread of seeds and the finite test set. About 12 CPU minutes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from autokd.data import DataOptions, Dataset, load
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.cost import student_cost
from autokd.spec import component_from_plain, component_to_plain, from_plain
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from benchmarks import boosted, common
from benchmarks.losses import append, lines

CPU = torch.device("cpu")
ROWS, TRAIN = 10_000, 2_000
"""Rows of a set that are drawn, and most that train."""
EPOCHS, TEACHER_EPOCHS = 20, 20
LIMITS = (5_000, 50_000)
TREES, TEACHER = "boosted trees", "teacher"
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
FAMILIES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "logistic_regression": ({},) * 6,
    "mlp": ({"depth": 1}, {"depth": 2}, {"depth": 3}) * 2,
    "embedding_mlp": (
        {"depth": 2, "embedding": 4},
        {"depth": 2, "embedding": 4, "frequencies": 4, "spread": 0.1},
        {"depth": 1, "embedding": 8, "frequencies": 4, "spread": 0.3},
    )
    * 2,
    "tabular_resnet": ({"depth": 1}, {"depth": 2}, {"depth": 3}) * 2,
    "ft_transformer": ({"depth": 1}, {"depth": 2}, {"depth": 1, "heads": 2}) * 2,
}
"""Six settings of each family, one a learning rate; the widths follow from the limit."""


class Found(NamedTuple):
    """What was measured of one family on one set at one limit, beside the boosted trees.

    Args:
      accuracy: on test, a seed each.
      difference, margin: to the boosted trees, and half of its 95 % interval.
    """

    accuracy: list[float]
    difference: float
    margin: float


def credit(data: Path) -> DataFrame:
    """Return the German credit set (Hofmann, UCI, 1994)."""
    frame = pd.read_csv(data / "credit_g" / "german.csv", header=None)
    return frame.set_axis([*(f"a{place}" for place in range(20)), "label"], axis=1).replace(
        {"label": {1: "good", 2: "bad"}}
    )


SETS = {**boosted.SETS, "credit": credit}


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/table_students.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.sets:
        with TemporaryDirectory() as folder:
            measure(name, asked, Path(folder) / f"{name}.csv")
    print(f"{common.machine()}; {EPOCHS} epochs, {asked.seeds} seeds\n{tables(lines(asked.runs))}")


def measure(name: str, asked: Any, file: Path) -> None:
    """Append what is missing of a set to the file of runs."""
    done = {key_of(run): run for run in lines(asked.runs)}
    frame = SETS[name](asked.data)
    frame.sample(min(ROWS, len(frame)), random_state=0).to_csv(file, index=False)
    data = load(file, DataOptions(target="label", limit_train=TRAIN))
    teacher = default_teacher.obtain(data, Effort(TEACHER_EPOCHS), CPU)
    context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())

    def keep(run: dict[str, Any]) -> None:
        run = {"set": name, **run}
        done[key_of(run)] = run
        append(asked.runs, run)

    if (name, TREES, 0, "test", 0) not in done:
        keep({"family": TREES, "limit": 0, "what": "test", "seed": 0, "right": packed(right_trees(file, data))})
        answers = predict_teacher(teacher, to_device(data.read_test(), data.task, CPU))
        right = packed(right_of(answers, data.read_test().labels))
        keep({"family": TEACHER, "limit": 0, "what": "test", "seed": 0, "right": right, "origin": teacher.origin})
    for limit in LIMITS:
        for family in FAMILIES:
            for number, plain in enumerate(settings(family, data, limit)):
                if (name, family, limit, "validation", number) not in done:
                    keep(trained(context, plain, number, {"family": family, "limit": limit, "what": "validation"}))
            tried = [run for key, run in done.items() if key[:4] == (name, family, limit, "validation")]
            best = max(tried, key=lambda run: run["accuracy"])
            for seed in range(100, 100 + asked.seeds):
                if (name, family, limit, "test", seed) not in done:
                    keep(trained(context, best["setting"], seed, {"family": family, "limit": limit, "what": "test"}))


def key_of(run: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells runs apart."""
    return tuple(run[key] for key in ("set", "family", "limit", "what", "seed"))


def settings(family: str, data: Dataset, limit: int) -> Iterator[dict[str, Any]]:
    """Yield the settings of a family, as wide as the limit allows, each with its learning rate."""
    for fields, rate in zip(FAMILIES[family], RATES, strict=True):
        widths: Sequence[int] = {"ft_transformer": range(8, 257, 8), "logistic_regression": ()}.get(
            family, range(4, 513)
        )
        plain = {"use": family, **fields}
        fitting = [each for each in ({**plain, "width": width} for width in widths) if params(each, data) <= limit]
        yield {"student": fitting[-1] if fitting else plain, "learning_rate": rate}


def params(plain: Mapping[str, Any], data: Dataset) -> int:
    """Return the parameters of a plain student."""
    return student_cost(component_from_plain("students", plain), data.task).params


def trained(context: TrainContext, setting: Mapping[str, Any], seed: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """Train a setting under a seed; return the line of its run, on validation or on test."""
    data, began = context.data, time.process_time()
    kd = {"use": "kd", "weight": 1.0, "temperature": 2.0}
    spec = from_plain(
        {
            "format": 1,
            "student": setting["student"],
            "augment": {"use": "none"},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}, "kd": kd},
            "optimizer": {"use": "adamw", "learning_rate": setting["learning_rate"], "weight_decay": 1e-2},
            "schedule": {"use": "one_cycle"},
            "batch_size": 64,
        }
    )
    horizon = EPOCHS * len(data.train)
    result, checkpoint = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=horizon, until=horizon))
    cost, seconds = student_cost(spec.student, data.task), round(time.process_time() - began, 2)
    line = {**about, "seed": seed, "params": cost.params, "macs": cost.macs, "seconds": seconds}
    if about["what"] == "validation":
        made = {"student": component_to_plain(spec.student), "learning_rate": setting["learning_rate"]}
        line |= {"accuracy": result.metrics["accuracy"], "setting": made}
    else:
        network = build_student(spec.student, data.task, CPU)
        network.load_state_dict(checkpoint["student"])
        test = data.read_test()
        line |= {"right": packed(right_of(predict(network, to_device(test, data.task, CPU)), test.labels))}
    print(f"{ {key: value for key, value in line.items() if key not in ('right', 'setting')} }", flush=True)
    return line


def right_trees(file: Path, data: Dataset) -> NDArray[np.bool_]:
    """Return which test rows boosted trees have right, which were fitted on the rows that train."""
    frame = pd.read_csv(file)
    test = frame.iloc[np.asarray(data.samples.numbers)[np.asarray(data.read_test().ids)]]
    model = boosted.fitted(file, data)
    return np.asarray(model.predict(test.drop(columns=["label"])) == test["label"].to_numpy())


def right_of(logits: torch.Tensor, labels: torch.Tensor) -> NDArray[np.bool_]:
    """Return which rows are right."""
    return (logits.argmax(1).cpu() == labels).numpy()


def packed(right: NDArray[np.bool_]) -> str:
    """Return which rows are right as text."""
    return f"{len(right)}:{np.packbits(right).tobytes().hex()}"


def unpacked(text: str) -> NDArray[np.float64]:
    """Return which rows are right, 1.0 or 0.0 each."""
    count, bits = text.split(":")
    return np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))[: int(count)].astype(float)


def beside(students: Sequence[NDArray[np.float64]], other: NDArray[np.float64]) -> Found:
    """Compare students, one a seed, with what answered the same rows.

    The variance of the difference is that of seeds over their number, plus that of the rows over theirs.
    """
    accuracy = [100 * float(each.mean()) for each in students]
    seeds = statistics.variance(accuracy) / len(accuracy)
    rows = 1e4 * float(np.var(np.mean(students, 0) - other, ddof=1)) / len(other)
    freedom = (seeds + rows) ** 2 / max(seeds**2 / (len(accuracy) - 1), 1e-12)
    margin = float(stats.t.ppf(0.975, min(freedom, 1e6))) * (seeds + rows) ** 0.5
    return Found(accuracy, statistics.mean(accuracy) - 100 * float(other.mean()), margin)


def tables(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as a Markdown table a limit."""
    tested = {key_of(run): unpacked(run["right"]) for run in runs if run["what"] == "test"}
    sets = list(dict.fromkeys(key[0] for key in tested))
    heads = [f"{each} ({100 * tested[each, TREES, 0, 'test', 0].mean():.1f} %)" for each in sets]
    text = []
    for limit in LIMITS:
        text += [
            f"\nAt most {limit:,} parameters:\n",
            f"| family | {' | '.join(heads)} |",
            f"|---{'|---' * len(sets)}|",
        ]
        for family in FAMILIES:
            cells = [cell(tested, each, family, limit) for each in sets]
            text.append(f"| `{family}` | {' | '.join(cells)} |")
    taught = (f"{each} {100 * tested[each, TEACHER, 0, 'test', 0].mean():.1f} %" for each in sets)
    return "\n".join([*text, f"\nTeachers: {', '.join(taught)}."])


def cell(tested: Mapping[tuple[Any, ...], NDArray[np.float64]], name: str, family: str, limit: int) -> str:
    """Return a cell: accuracy on test ± SD of seeds, and the difference to the boosted trees with its interval."""
    students = [right for key, right in tested.items() if key[:3] == (name, family, limit)]
    if len(students) < 2:
        return "–"
    found = beside(students, tested[name, TREES, 0, "test", 0])
    mean, spread = statistics.mean(found.accuracy), statistics.stdev(found.accuracy)
    low, high = found.difference - found.margin, found.difference + found.margin
    return f"{mean:.1f} ± {spread:.1f}; {found.difference:+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
