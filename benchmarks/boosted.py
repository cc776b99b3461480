"""Gradient boosting to a perceptron: the same teacher from a file of scikit-learn and as stored predictions, and the
default one.

    OMP_NUM_THREADS=1 python -m benchmarks.boosted --data DIR [--sets adult letter telco] [--seeds 3]

DIR holds the real sets in folders (adult, letter, telco_churn). Of each, rows are drawn and written as a CSV, a
pipeline of scikit-learn is fitted on those that train, and one student learns from it by plain KD under several seeds.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pandas import DataFrame
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from autokd.data import DataOptions, Dataset, load
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.reference import load_teacher
from autokd.spec import from_plain
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from autokd.types import Teacher

CPU = torch.device("cpu")
EPOCHS = 30
ROWS = 4000
"""Rows of each set that are drawn, for training, validation and test."""
TEACHER_EPOCHS = 15
PIPELINE: dict[str, Any] = {
    "format": 1,
    "student": {"use": "mlp", "depth": 2, "width": 64, "dropout": 0.0},
    "augment": {"use": "none"},
    "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}, "kd": {"use": "kd"}},
    "optimizer": {"use": "adamw", "learning_rate": 3e-3},
    "schedule": {"use": "one_cycle"},
    "batch_size": 64,
}


class Result(NamedTuple):
    """Accuracy on test.

    Args:
      teacher: of the teacher.
      students: of the students, one a seed.
    """

    teacher: float
    students: list[float]


def adult(data: Path) -> DataFrame:
    """Return the Adult set, both parts of it (Becker and Kohavi, UCI, 1996)."""
    parts = [
        pd.read_csv(data / "adult" / f"adult-{part}.csv", header=None, skipinitialspace=True)
        for part in ("train", "test")
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.set_axis([*(f"a{place}" for place in range(14)), "label"], axis=1)
    return frame.assign(label=frame["label"].str.rstrip("."))


def letter(data: Path) -> DataFrame:
    """Return the Letter set (Slate, UCI, 1991)."""
    return pd.read_csv(data / "letter" / "letter-recognition.data").rename(columns={"lettre": "label"})


def telco(data: Path) -> DataFrame:
    """Return the Telco customer churn set (IBM)."""
    frame = pd.read_csv(data / "telco_churn" / "Telco-Customer-Churn.csv", na_values=" ")
    return frame.drop(columns=["customerID"]).rename(columns={"Churn": "label"})


SETS = {"adult": adult, "letter": letter, "telco": telco}


def fitted(file: Path, data: Dataset) -> Any:
    """Return a pipeline of gradient boosting, fitted as a person would on the rows of a CSV that train."""
    frame = pd.read_csv(file)
    rows = np.asarray(data.samples.numbers)[np.asarray(data.train.ids)]
    text = make_column_selector(dtype_exclude="number")
    coded = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), text), remainder="passthrough"
    )
    model = make_pipeline(coded, HistGradientBoostingClassifier(max_iter=100, random_state=0))
    train = frame.iloc[rows]
    return model.fit(train.drop(columns=["label"]), train["label"])


def teachers(file: Path, data: Dataset) -> dict[str, Teacher]:
    """Return the teachers by how they are given."""
    model, frame = fitted(file, data), pd.read_csv(file)
    importlib.import_module("skops.io").dump(model, file.with_suffix(".skops"))
    stored = DataFrame(
        model.predict_proba(frame.drop(columns=["label"])), columns=[f"p({name})" for name in model.classes_]
    )
    stored.to_csv(file.with_name("predictions.csv"), index=False)
    given = {
        "scikit-learn file": f"sklearn:{file.with_suffix('.skops')}",
        "stored predictions": f"predictions:{file.with_name('predictions.csv')}",
    }
    loaded: dict[str, Teacher] = {
        name: load_teacher(reference, data.task, samples=data.samples) for name, reference in given.items()
    }
    return {**loaded, "default": default_teacher.obtain(data, Effort(TEACHER_EPOCHS), CPU)}


def measured(data: Dataset, teacher: Teacher, seeds: int) -> Result:
    """Train students by plain KD and return what they and their teacher reach on test."""
    test, spec = to_device(data.read_test(), data.task, CPU), from_plain(PIPELINE)
    context = TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())
    horizon, students = EPOCHS * len(data.train), []
    for seed in range(seeds):
        _, trained = train_rung(context, spec, Rung(seed=seed, view_seed=seed, horizon=horizon, until=horizon))
        network = build_student(spec.student, data.task, CPU)
        network.load_state_dict(trained["student"])
        students.append(_accuracy(predict(network, test), data))
    return Result(_accuracy(predict_teacher(teacher, test), data), students)


def _accuracy(logits: torch.Tensor, data: Dataset) -> float:
    return 100 * float((logits.argmax(1) == data.read_test().labels).double().mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print("| set | teacher | teacher on test | students on test, mean ± SD | each |\n|---|---|---|---|---|", flush=True)
    for name in asked.sets:
        began = time.perf_counter()
        with TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.csv"
            SETS[name](asked.data).sample(ROWS, random_state=0).to_csv(file, index=False)
            data = load(file, DataOptions(target="label"))
            for how, teacher in teachers(file, data).items():
                found = measured(data, teacher, asked.seeds)
                spread = f"{np.mean(found.students):.1f} ± {np.std(found.students, ddof=1):.1f}"
                each = ", ".join(f"{value:.1f}" for value in found.students)
                print(f"| {name} | {how} | {found.teacher:.1f} % | {spread} % | {each} |", flush=True)
        print(f"<!-- {name}: {time.perf_counter() - began:.0f} s -->", flush=True)


if __name__ == "__main__":
    main()
