"""Boosters as people save them: objectives, categories of text and of numbers, missing cells, orders of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from autokd.data import DataOptions, Dataset, load
from autokd.errors import TeacherError
from autokd.networks.reference import load_teacher

FEATURES = ["petal width", "count", "colour", "zip"]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, pd.DataFrame]:
    """120 flowers, whose colour is missing here and there and whose zip code is a number; as autokd and as pandas read
    them."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 120)
    colour = np.array(["red", "blue", "white"])[(kind + (rng.random(120) < 0.3)) % 3]
    frame = pd.DataFrame(
        {
            "petal width": (kind + rng.normal(size=120)).round(2),
            "count": rng.integers(0, 9, 120) + kind,
            "colour": np.where(np.arange(120) % 17 == 0, "", colour),
            "zip": np.array([303, 101, 202])[(kind + (rng.random(120) < 0.4)) % 3],
            "kind": np.array(["aster", "tulip", "rose"])[kind],
        }
    )
    path = tmp_path_factory.mktemp("boosters") / "flowers.csv"
    frame.to_csv(path, index=False)
    return load(path, DataOptions(target="kind")), pd.read_csv(path)


@pytest.fixture(scope="module")
def pair(flowers: tuple[Dataset, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same flowers, of which one asks only whether they are roses."""
    path = tmp_path_factory.mktemp("pair") / "roses.csv"
    flowers[1].assign(kind=np.where(flowers[1]["kind"] == "rose", "yes", "no")).to_csv(path, index=False)
    return load(path, DataOptions(target="kind"))


def codes(frame: pd.DataFrame) -> NDArray[np.int64]:
    return np.unique(frame["kind"], return_inverse=True)[1]


def categories(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    return frame[FEATURES].assign(**{name: frame[name].astype("category") for name in names})


def assert_says(reference: str, data: Dataset, expected: Any) -> None:
    """Compare with what the library itself says of the rows of the file, in proportion to each row's sum."""
    teacher: Any = load_teacher(reference, data.task, samples=data.samples)
    ids = data.validation.ids
    rows = np.asarray(data.samples.numbers)[np.asarray(ids)]
    wanted = np.asarray(expected)
    wanted = np.stack([1 - wanted, wanted], axis=1) if wanted.ndim == 1 else wanted / wanted.sum(1, keepdims=True)
    said = teacher.answer(ids, data.validation.inputs).logits.softmax(-1)
    np.testing.assert_allclose(said, wanted[rows], atol=1e-4)


def refusal(reference: str, data: Dataset) -> str:
    with pytest.raises(TeacherError) as caught:
        load_teacher(reference, data.task, samples=data.samples)
    return str(caught.value)


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova", "binary", "cross_entropy"])
@pytest.mark.parametrize("split", [("colour",), ("zip", "colour")])
def test_lightgbm(
    flowers: tuple[Dataset, pd.DataFrame], pair: Dataset, tmp_path: Path, objective: str, split: tuple[str, ...]
) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    data, frame = flowers
    rows = categories(frame, *split)[["zip", "petal width", "colour"]]  # in an order of its own
    two = objective in ("binary", "cross_entropy")
    labels = (frame["kind"] == "rose").astype(int) if two else codes(frame)
    said = {"objective": objective, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "min_data_per_group": 5}
    said |= {} if two else {"num_class": 3}
    booster = lightgbm.train(said, lightgbm.Dataset(rows, labels), 4)
    booster.save_model(tmp_path / "m.txt")
    assert_says(f"lightgbm:{tmp_path / 'm.txt'}", pair if two else data, booster.predict(rows))


def test_lightgbm_without_categories_or_classes(flowers: tuple[Dataset, pd.DataFrame], tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    data, frame = flowers
    coded = frame[FEATURES].assign(colour=frame["colour"].astype("category").cat.codes)
    said: dict[str, Any] = {"verbosity": -1, "num_threads": 1}
    ways: list[tuple[str, dict[str, Any], pd.DataFrame]] = [
        ("coded", {"objective": "multiclass", "num_class": 3}, coded),
        ("lambdarank", {"objective": "lambdarank"}, frame[["count"]]),
        ("cross_entropy_lambda", {"objective": "cross_entropy_lambda"}, frame[["count"]]),
    ]
    for name, more, rows in ways:
        labels = codes(frame) if name == "coded" else codes(frame) % 2
        groups = {"group": [60, 60]} if name == "lambdarank" else {}
        booster = lightgbm.train({**said, **more}, lightgbm.Dataset(rows, labels, **groups), 2)
        booster.save_model(tmp_path / f"{name}.txt")
        found = refusal(f"lightgbm:{tmp_path / name}.txt", data)
        wanted = "numbers in the column 'colour', which is text" if name == "coded" else f"its objective is {name};"
        assert wanted in found and "\n" not in found


@pytest.mark.parametrize(
    "objective", ["multi:softprob", "multi:softmax", "binary:logistic", "binary:logitraw", "reg:logistic"]
)
def test_xgboost(flowers: tuple[Dataset, pd.DataFrame], pair: Dataset, tmp_path: Path, objective: str) -> None:
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    data, frame = flowers
    rows = categories(frame, "colour", "zip")[["zip", "petal width", "colour"]]
    multi = objective.startswith("multi")
    labels = codes(frame) if multi else (frame["kind"] == "rose").astype(int)
    known = xgboost.DMatrix(rows, labels, enable_categorical=True)
    said = {"objective": objective, "nthread": 1, **({"num_class": 3} if multi else {})}
    booster = xgboost.train(said, known, 3)
    booster.save_model(tmp_path / "m.json")
    margins = booster.predict(known, output_margin=True)
    expected = np.exp(margins) if multi else 1 / (1 + np.exp(-margins))
    assert_says(f"xgboost:{tmp_path / 'm.json'}", data if multi else pair, expected)


def test_xgboost_that_was_fitted_on_numbers_for_text(flowers: tuple[Dataset, pd.DataFrame], tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    data, frame = flowers
    coded = frame[FEATURES].assign(colour=frame["colour"].astype("category").cat.codes)
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(coded, codes(frame)).save_model(tmp_path / "m.json")
    found = refusal(f"xgboost:{tmp_path / 'm.json'}", data)
    assert "it was fitted on numbers in the column 'colour', which is text in the data" in found
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1, objective="binary:hinge").fit(
        frame[["count"]], codes(frame) % 2
    ).save_model(tmp_path / "hinge.json")
    assert "its objective is binary:hinge; a teacher is a classifier" in refusal(f"xgboost:{tmp_path}/hinge.json", data)


@pytest.mark.parametrize("loss", ["MultiClass", "MultiClassOneVsAll", "Logloss"])
@pytest.mark.parametrize("form", ["cbm", "json"])
def test_catboost(flowers: tuple[Dataset, pd.DataFrame], pair: Dataset, tmp_path: Path, loss: str, form: str) -> None:
    catboost = pytest.importorskip("catboost", reason="catboost is not installed")
    data, frame = flowers
    two = loss == "Logloss"
    rows = frame[["zip", "colour", "petal width"]].assign(colour=[str(cell) for cell in frame["colour"]])
    labels = np.where(frame["kind"] == "rose", "yes", "no") if two else frame["kind"].to_numpy(dtype=object)
    model = catboost.CatBoostClassifier(
        iterations=3, verbose=False, thread_count=1, allow_writing_files=False, loss_function=loss
    )
    model.fit(rows, labels, cat_features=["zip", "colour"])
    model.save_model(str(tmp_path / f"m.{form}"), format=form)
    assert_says(f"catboost:{tmp_path / f'm.{form}'}", pair if two else data, model.predict_proba(rows))


@pytest.mark.parametrize(("kind", "loss"), [("CatBoostRegressor", "RMSE"), ("CatBoostRanker", "YetiRank")])
def test_catboost_that_is_no_classifier(pair: Dataset, tmp_path: Path, kind: str, loss: str) -> None:
    catboost = pytest.importorskip("catboost", reason="catboost is not installed")
    model = getattr(catboost, kind)(iterations=2, verbose=False, thread_count=1, allow_writing_files=False)
    groups = {"group_id": np.arange(20) // 10} if loss == "YetiRank" else {}
    model.fit(pd.DataFrame({"count": np.arange(20)}), np.arange(20) % 2, **groups)
    model.save_model(str(tmp_path / "m.cbm"))
    assert refusal(f"catboost:{tmp_path / 'm.cbm'}", pair).endswith(f"its loss is {loss}; a teacher is a classifier")
