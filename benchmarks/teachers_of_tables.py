"""Models on the rows of tables, of other libraries and in their own files: rows of `python -m benchmarks.teachers`.

Adult has columns of text, Letter 26 classes and numbers alone. The models are fitted on the rows that train, as a
person would, and the truth is what the library itself says of the rows that validate.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas import DataFrame, Series
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from autokd.data import DataOptions, Dataset, load
from benchmarks.boosted import SETS, fitted

ROUNDS = 40
Probabilities = NDArray[np.float64]


class Table(NamedTuple):
    """What ways are made of.

    Args:
      data: the dataset.
      file: of its rows, with the label.
      rows: all of them, without the label, as `pandas.read_csv` gives them.
      labels: their class names.
      train, validation: numbers of the rows of these splits.
      models: fitted, by name.
      truths: their accuracy on validation, by name.
    """

    data: Dataset
    file: Path
    rows: DataFrame
    labels: Series
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    models: dict[str, Any]
    truths: dict[str, float]

    def at(self, ending: str) -> Path:
        return self.file.with_suffix(ending)

    def know(self, name: str, model: Any, said: Probabilities, classes: Sequence[Any]) -> None:
        """Keep a model, and how often it is right: what it says of the rows that validate, and of which classes."""
        right = np.asarray(classes, dtype=object)[said.argmax(1)] == self.labels.to_numpy()[self.validation]
        self.models[name], self.truths[name] = model, float(np.mean(right))


def _table(name: str, data_dir: Path, folder: Path, count: int) -> Table:
    file = folder / f"{name}.csv"
    SETS[name](data_dir).sample(count, random_state=0).to_csv(file, index=False)
    data = load(file, DataOptions(target="label"))
    frame, numbers = pd.read_csv(file), np.asarray(data.samples.numbers)
    train, validation = (numbers[np.asarray(split.ids)] for split in (data.train, data.validation))
    return Table(data, file, frame.drop(columns=["label"]), frame["label"], train, validation, {}, {})


def adult(data_dir: Path, folder: Path, count: int) -> Table:
    """Return the Adult set with a model of each library, columns of text as its categories."""
    table = _table("adult", data_dir, folder, count)
    held, wide = table.rows.iloc[table.validation], _categories(table.rows)
    codes = table.labels.astype("category").cat.codes.to_numpy()
    classes = sorted(table.labels.unique())
    pipeline = fitted(table.file, table.data)
    table.know("sklearn", pipeline, pipeline.predict_proba(held), pipeline.classes_)
    library = importlib.import_module("lightgbm")
    booster = library.LGBMClassifier(n_estimators=ROUNDS, n_jobs=1, verbose=-1)
    booster.fit(wide.iloc[table.train], codes[table.train])
    table.know("lightgbm", booster, booster.predict_proba(wide.iloc[table.validation]), classes)
    library = importlib.import_module("xgboost")
    booster = library.XGBClassifier(n_estimators=ROUNDS, n_jobs=1, enable_categorical=True)
    booster.fit(wide.iloc[table.train], codes[table.train])
    table.know("xgboost", booster, booster.predict_proba(wide.iloc[table.validation]), classes)
    library = importlib.import_module("catboost")
    texts = list(table.rows.select_dtypes(exclude="number"))
    booster = library.CatBoostClassifier(iterations=ROUNDS, cat_features=texts, thread_count=1, verbose=0)
    booster.set_params(allow_writing_files=False)
    booster.fit(table.rows.iloc[table.train], table.labels.iloc[table.train])
    table.know("catboost", booster, booster.predict_proba(held), booster.classes_)
    said = [pipeline.predict_proba(held), table.models["lightgbm"].predict_proba(wide.iloc[table.validation])]
    table.know("together", None, np.mean([*said, booster.predict_proba(held)], axis=0), classes)
    return table


def letter(data_dir: Path, folder: Path, count: int) -> Table:
    """Return the Letter set with models on bare arrays, classes numbered as they first occur."""
    table = _table("letter", data_dir, folder, count)
    numbers = table.rows.to_numpy(dtype=np.float32)
    train, held = numbers[table.train], numbers[table.validation]
    first = list(dict.fromkeys(table.labels))
    codes = np.asarray([first.index(name) for name in table.labels])
    library = importlib.import_module("xgboost")
    booster = library.XGBClassifier(n_estimators=ROUNDS, n_jobs=1).fit(train, codes[table.train])
    table.know("xgboost", booster, booster.predict_proba(held), first)
    forest = RandomForestClassifier(50, random_state=0).fit(train, table.labels.iloc[table.train])
    table.know("forest", forest, forest.predict_proba(held), forest.classes_)
    network = _perceptron(torch.from_numpy(train), torch.from_numpy(codes[table.train]), len(first))
    with torch.no_grad():
        table.know("network", network, network(torch.from_numpy(held)).double().numpy(), first)
    return table


def _categories(rows: DataFrame) -> DataFrame:
    return rows.astype(dict.fromkeys(rows.select_dtypes(exclude="number"), "category"))


def _perceptron(rows: torch.Tensor, codes: torch.Tensor, classes: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.BatchNorm1d(rows.shape[1]), nn.Linear(rows.shape[1], 64), nn.ReLU())
        network.append(nn.Linear(64, classes))
        optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
        for _ in range(30):
            for index in torch.randperm(len(rows)).split(64):
                loss = nn.functional.cross_entropy(network(rows[index]), codes[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return network.eval()


def _skops(table: Table, name: str) -> str:
    importlib.import_module("skops.io").dump(table.models[name], table.at(f".{name}.skops"))
    return f"sklearn:{table.at(f'.{name}.skops')}"


def _lightgbm(table: Table) -> str:
    table.models["lightgbm"].booster_.save_model(str(table.at(".txt")))
    return f"lightgbm:{table.at('.txt')}"


def _xgboost(table: Table) -> str:
    table.models["xgboost"].save_model(str(table.at(".json")))
    return f"xgboost:{table.at('.json')}"


def _catboost(table: Table) -> str:
    table.models["catboost"].save_model(str(table.at(".cbm")))
    return f"catboost:{table.at('.cbm')}"


def _stored(table: Table) -> dict[str, Any]:
    model, file = table.models["sklearn"], table.at(".predictions.csv")
    stored = DataFrame(model.predict_proba(table.rows), columns=[f"p({name})" for name in model.classes_])
    stored.assign(row=range(len(stored))).sample(frac=1, random_state=1).to_csv(file, index=False)
    return {"teacher_predictions": file}


def _onnx(table: Table) -> dict[str, Any]:
    file = table.at(".onnx")
    names: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            table.models["network"], (torch.zeros(2, table.rows.shape[1]),), str(file), dynamo=False, **names
        )
    return {"teacher": f"onnx:{file}"}


Handed = tuple[str, str, Callable[[Table], dict[str, Any]]]
ADULT: tuple[Handed, ...] = (
    ("Adult: a pipeline of scikit-learn, skops", "sklearn", lambda t: {"teacher": _skops(t, "sklearn")}),
    ("Adult: the same in Python", "sklearn", lambda t: {"teacher": t.models["sklearn"]}),
    ("Adult: the same as stored predictions, a CSV in another order", "sklearn", _stored),
    ("Adult: LightGBM, text as categories", "lightgbm", lambda t: {"teacher": _lightgbm(t)}),
    ("Adult: XGBoost, text as categories", "xgboost", lambda t: {"teacher": _xgboost(t)}),
    ("Adult: CatBoost, text as categories", "catboost", lambda t: {"teacher": _catboost(t)}),
    (
        "Adult: scikit-learn, LightGBM and CatBoost together",
        "together",
        lambda t: {"teacher": [_skops(t, "sklearn"), _lightgbm(t), _catboost(t)]},
    ),
)
LETTER: tuple[Handed, ...] = (
    ("Letter: a forest of scikit-learn on an array, skops", "forest", lambda t: {"teacher": _skops(t, "forest")}),
    ("Letter: XGBoost, classes numbered as they first occur", "xgboost", lambda t: {"teacher": _xgboost(t)}),
    ("Letter: ONNX, classes numbered as they first occur", "network", _onnx),
)
TABLES: tuple[tuple[Callable[[Path, Path, int], Table], tuple[Handed, ...]], ...] = ((adult, ADULT), (letter, LETTER))
"""What makes a table's bench from (data, folder for files, rows), and its ways."""
