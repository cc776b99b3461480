"""Models of other libraries on the rows of a table: they see what `pandas.read_csv` sees, and answer as there."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from autokd.data import DataOptions, Dataset, load
from autokd.errors import TeacherError
from autokd.modalities.foreign_rows import as_read_by_others
from autokd.modalities.tables import read_table
from autokd.networks.reference import describe, load_teacher
from autokd.types import Teacher

FEATURES = ["petal width", "count", "colour", "ripe"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 flowers; the classes' order by number is not that by text."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 150)
    frame = pd.DataFrame(
        {
            "petal width": (kind + rng.normal(size=150)).round(2),
            "count": rng.integers(0, 9, 150) + kind,
            "colour": np.array(["red", "blue", "white"])[(kind + (rng.random(150) < 0.3)) % 3],
            "ripe": rng.random(150) < 0.5,
            "kind": np.array([10, 9, 1])[kind],
        }
    )
    path = tmp_path_factory.mktemp("rows") / "flowers.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def data(file: Path) -> Dataset:
    return load(file, DataOptions(target="kind"))


@pytest.fixture(scope="module")
def frame(file: Path) -> pd.DataFrame:
    """As its owner reads it."""
    return pd.read_csv(file)


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> Any:
    text = make_column_selector(dtype_exclude="number")
    encoded = make_column_transformer((OneHotEncoder(), text), remainder=StandardScaler())
    return make_pipeline(encoded, HistGradientBoostingClassifier(max_iter=5)).fit(frame[FEATURES], frame["kind"])


def said_of(teacher: Teacher, data: Dataset) -> NDArray[np.float64]:
    """What a teacher says of validation, as probabilities."""
    ids = data.validation.ids
    assert ids is not None
    return np.asarray(teacher.answer(ids, data.validation.inputs).logits.softmax(-1))  # type: ignore[attr-defined]


def validation_rows(data: Dataset) -> NDArray[np.int64]:
    return np.asarray(data.samples.numbers)[np.asarray(data.validation.ids)]


def teacher_of(reference: Any, data: Dataset, **given: Any) -> Teacher:
    return load_teacher(reference, data.task, given, data.samples)


def assert_says(teacher: Teacher, data: Dataset, expected: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(said_of(teacher, data), expected[validation_rows(data)], atol=1e-5)


def as_codes(frame: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(LabelEncoder().fit_transform(frame["kind"]))


def with_categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[FEATURES].assign(colour=frame["colour"].astype("category"))


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,x,1.5\n2,y,\n,x y,3\n",
        "n,flag\n1,True\n2,False\n",
        "price;city\n1,5;Bonn\n2,25;Ulm\n",
        "code,mark\n007,NA\n012,b\n",
    ],
)
def test_rows_are_typed_as_pandas_types_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    decimal = ";" in text
    wanted = pd.read_csv(io.StringIO(text), sep=";" if decimal else ",", decimal="," if decimal else ".")
    found = as_read_by_others([read_table(tmp_path / "t.csv")])
    assert list(found.columns) == list(wanted.columns)
    for name in wanted.columns:
        assert found[name].dtype.kind == ("O" if wanted[name].dtype == "str" else wanted[name].dtype.kind), name
        assert found[name].tolist() == pytest.approx(wanted[name].tolist(), nan_ok=True) or (
            found[name].fillna("").tolist() == wanted[name].fillna("").tolist()
        )


def test_a_file_of_skops_answers_as_its_model(data: Dataset, frame: pd.DataFrame, fitted: Any, tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    skops.dump(fitted, tmp_path / "model.skops")
    teacher = teacher_of(f"sklearn:{tmp_path / 'model.skops'}", data)
    assert_says(teacher, data, fitted.predict_proba(frame[FEATURES]))
    assert teacher.fingerprint == teacher_of(describe(f"sklearn:{tmp_path / 'model.skops'}"), data).fingerprint
    assert not teacher.offers.views


def test_what_is_no_plain_model_of_scikit_learn_is_refused(data: Dataset, frame: pd.DataFrame, tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LogisticRegression()))
    with pytest.raises(TeacherError, match=r"a pickle or joblib file could run code and is not read"):
        teacher_of(f"sklearn:{tmp_path / 'model.pkl'}", data)
    foreign = make_pipeline(FunctionTransformer(as_codes), LogisticRegression())
    skops.dump(foreign, tmp_path / "own.skops")
    with pytest.raises(TeacherError, match=r"types that are not scikit-learn's: .*as_codes; they could run code"):
        teacher_of(f"sklearn:{tmp_path / 'own.skops'}", data)
    skops.dump(SVC().fit(frame[["count"]], frame["kind"]), tmp_path / "svc.skops")
    with pytest.raises(TeacherError, match=r"SVC of .* no predict_proba.*CalibratedClassifierCV"):
        teacher_of(f"sklearn:{tmp_path / 'svc.skops'}", data)


def test_models_that_hold_more_than_classes_are_read(frame: pd.DataFrame, data: Dataset, tmp_path: Path) -> None:
    """A grid search, an encoder of categories and a selection hold functions and types that are not scikit-learn's."""
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    boosting = HistGradientBoostingClassifier(max_iter=2).fit(with_categories(frame), frame["kind"])
    chosen = make_pipeline(SelectKBest(k=1), LogisticRegression())
    searched = GridSearchCV(chosen, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(frame[["count"]], frame["kind"])
    for model, rows in ((boosting, with_categories(frame)), (searched, frame[["count"]])):
        skops.dump(model, tmp_path / "m.skops")
        assert_says(teacher_of(f"sklearn:{tmp_path / 'm.skops'}", data), data, model.predict_proba(rows))


@pytest.mark.parametrize(
    "name",
    ["sklearn.datasets._base.load_files", "sklearn.utils._testing.TempMemmap", "sklearn.base.joblib", "os.system"],
)
def test_no_function_and_no_foreign_name_counts_as_scikit_learns(name: str) -> None:
    from autokd.teachers._sklearn import _is_of_sklearn

    assert not _is_of_sklearn(name)
    assert _is_of_sklearn("sklearn.tree._tree.Tree")


def test_an_object_in_python_answers_as_it_does(data: Dataset, frame: pd.DataFrame, fitted: Any) -> None:
    assert_says(teacher_of(fitted, data), data, fitted.predict_proba(frame[FEATURES]))
    assert describe(fitted) == {"use": "object", "object": "sklearn.pipeline.Pipeline"}
    with pytest.raises(TeacherError, match="handed over in Python"):
        teacher_of(describe(fitted), data)
    with pytest.raises(TeacherError, match="a fitted object with predict_proba, got int"):
        teacher_of(3, data)


class Named:
    """Answers as AutoML libraries do: in a table whose columns are called by the classes; knows no columns."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def predict_proba(self, rows: pd.DataFrame) -> pd.DataFrame:
        self.seen.append(rows)
        count = len(rows)
        return pd.DataFrame({9: np.full(count, 0.1), 10: np.full(count, 0.7), 1: np.full(count, 0.2)})


def test_an_answer_that_names_its_classes_goes_by_these(data: Dataset) -> None:
    seen: list[Any] = []
    np.testing.assert_allclose(said_of(teacher_of(Named(seen), data), data)[0], [0.2, 0.1, 0.7], atol=1e-6)
    assert list(seen[0].columns) == FEATURES and seen[0]["colour"].iloc[0] in ("red", "blue", "white")


def test_columns_go_by_name(data: Dataset, frame: pd.DataFrame) -> None:
    swapped = LogisticRegression().fit(frame[["count", "petal width"]], frame["kind"])
    assert_says(teacher_of(swapped, data), data, swapped.predict_proba(frame[["count", "petal width"]]))
    renamed = LogisticRegression().fit(frame[["count"]].set_axis(["counts"], axis=1), frame["kind"])
    with pytest.raises(
        TeacherError, match="fitted on a column 'counts', which the data have not; did you mean 'count'"
    ):
        teacher_of(renamed, data)
    unnamed = LogisticRegression().fit(frame[["count", "petal width"]].to_numpy(), frame["kind"])
    with pytest.raises(TeacherError, match="fitted on 2 columns without names, and the data have 4: petal width"):
        teacher_of(unnamed, data)


def test_classes_go_by_name_or_by_the_order_of_an_encoder(data: Dataset, frame: pd.DataFrame) -> None:
    rows = frame[["count", "petal width"]]
    coded = LogisticRegression().fit(rows, as_codes(frame))
    expected = coded.predict_proba(rows)
    assert_says(teacher_of(coded, data), data, expected)
    texts = LogisticRegression().fit(rows, frame["kind"].astype(str))  # in the order 1, 10, 9
    assert_says(teacher_of(texts, data), data, texts.predict_proba(rows)[:, [0, 2, 1]])
    assert_says(teacher_of(coded, data, classes=("10", "9", "1")), data, expected[:, [2, 1, 0]])
    with pytest.raises(TeacherError, match="3 numbers a row, and the names of 2 classes"):
        teacher_of(coded, data, classes=("1", "9"))


def test_what_fails_on_the_rows_is_one_line(data: Dataset, frame: pd.DataFrame) -> None:
    numeric = LogisticRegression().fit(np.zeros((3, 4)), [1, 9, 10])
    with pytest.raises(
        TeacherError, match=r"LogisticRegression of sklearn fails on the rows of flowers: ValueError: could not convert"
    ):
        teacher_of(numeric, data)


def test_a_booster_of_lightgbm_answers_as_it_does(data: Dataset, frame: pd.DataFrame, tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is not installed")
    rows = with_categories(frame)
    model = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1).fit(rows, frame["kind"])
    model.booster_.save_model(tmp_path / "model.txt")
    assert_says(teacher_of(f"lightgbm:{tmp_path / 'model.txt'}", data), data, model.predict_proba(rows))
    assert_says(teacher_of(model, data), data, model.predict_proba(rows))
    lightgbm.LGBMRegressor(n_estimators=2, verbosity=-1, n_jobs=1).fit(rows, frame["kind"]).booster_.save_model(
        tmp_path / "regression.txt"
    )
    with pytest.raises(TeacherError, match="its objective is regression; a teacher is a classifier"):
        teacher_of(f"lightgbm:{tmp_path / 'regression.txt'}", data)
    (tmp_path / "no.txt").write_text("hello")
    with pytest.raises(TeacherError, match="is no model of LightGBM in its text format"):
        teacher_of(f"lightgbm:{tmp_path / 'no.txt'}", data)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_a_booster_of_xgboost_answers_as_it_does(
    data: Dataset, frame: pd.DataFrame, tmp_path: Path, suffix: str
) -> None:
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    rows, codes = with_categories(frame), as_codes(frame)
    model = xgboost.XGBClassifier(n_estimators=9, early_stopping_rounds=1, enable_categorical=True, n_jobs=1)
    model.fit(rows[:100], codes[:100], eval_set=[(rows[100:], codes[100:])], verbose=False)
    file = tmp_path / f"model.{suffix}"
    model.save_model(file)
    assert_says(teacher_of(f"xgboost:{file}", data), data, model.predict_proba(rows))
    xgboost.XGBRegressor(n_estimators=2).fit(frame[["count"]], codes).save_model(tmp_path / "regression.json")
    with pytest.raises(TeacherError, match="its objective is reg:squarederror; a teacher is a classifier"):
        teacher_of(f"xgboost:{tmp_path / 'regression.json'}", data)


def test_rows_are_for_tables_alone(data: Dataset, fitted: Any, digits: Dataset) -> None:
    with pytest.raises(TeacherError, match="a object teacher takes table data; digits is image"):
        load_teacher(fitted, digits.task, samples=digits.samples)
    with pytest.raises(TeacherError, match="it reads the rows of a table, and there are none here"):
        load_teacher(fitted, data.task)


def _onnx_linear(weight: NDArray[Any], path: Path, shape: list[Any], *, softmax: bool) -> Path:
    """A file with flatten, a product, and a softmax where asked for."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    nodes += [helper.make_node("Softmax", ["y"], ["p"])] if softmax else []
    out = helper.make_tensor_value_info("p" if softmax else "y", numbers, [shape[0], weight.shape[1]])
    given = helper.make_tensor_value_info("x", numbers, shape)
    graph = helper.make_graph(nodes, "g", [given], [out], [onnx.numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("batch", ["n", 7])
@pytest.mark.parametrize("softmax", [True, False])
def test_a_model_in_onnx_answers_about_rows(tmp_path: Path, batch: Any, softmax: bool) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    table, weight = load("wine"), np.random.default_rng(0).normal(size=(13, 3)).astype(np.float32) / 100
    path = _onnx_linear(weight, tmp_path / "m.onnx", [batch, 13], softmax=softmax)
    assert table.samples.table is not None
    scores = table.samples.table().to_numpy() @ weight
    shares = np.exp(scores - scores.max(1, keepdims=True))
    ids = np.asarray(table.validation.ids)
    expected = (shares / shares.sum(1, keepdims=True))[ids]
    np.testing.assert_allclose(said_of(teacher_of(f"onnx:{path}", table), table), expected, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
def test_a_model_in_onnx_answers_about_pictures_and_views_of_them(digits: Dataset, tmp_path: Path, last: bool) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    weight = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    path = _onnx_linear(weight, tmp_path / "m.onnx", ["n", 8, 8, 1] if last else ["n", 1, 8, 8], softmax=False)
    teacher = load_teacher(f"onnx:mean=0.5,std=0.5@{path}", digits.task)
    assert teacher.offers.views and not teacher.offers.features
    pixels = torch.rand(5, 1, 8, 8)
    given = (pixels - digits.task.mean[0]) / digits.task.std[0]
    expected = ((pixels - 0.5) / 0.5).flatten(1) @ torch.from_numpy(weight)
    torch.testing.assert_close(teacher.predict(given).logits, expected, rtol=1e-4, atol=1e-4)
    larger = _onnx_linear(weight, tmp_path / "l.onnx", ["n", 1, 4, 16], softmax=False)
    with pytest.raises(TeacherError, match=r"m.onnx|l.onnx"):
        load_teacher(f"onnx:{larger}", digits.task)


def _classifier(path: Path, order: list[int], *, text: bool, form: str) -> NDArray[np.float64]:
    """A file as skl2onnx writes it, classes in an order of its own; returns what it says of wine, in the data's order.

    Args:
      form: "zipmap", a {class: probability} a sample; "columns", an output a class; "array"; "metadata", names there.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper, types = onnx.helper, onnx.TensorProto
    wine = load("wine").samples.table
    assert wine is not None
    rows = wine().to_numpy()
    weight = np.random.default_rng(0).normal(size=(3, rows.shape[1])) / rows.std(0) / 3
    bias = -weight @ rows.mean(0)
    scores = rows @ weight.T + bias
    kind, plural = (types.STRING, "strings") if text else (types.INT64, "ints")
    names: list[Any] = [f"class_{place}" for place in order] if text else list(range(3))
    own = {f"classlabels_{plural}": names} if form != "metadata" else {"classlabels_ints": [0, 1, 2]}
    sizes = {"coefficients": weight[order].ravel().tolist(), "intercepts": bias[order].tolist()}
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", post_transform="SOFTMAX", **own, **sizes
    )
    nodes, outputs = [node], [helper.make_tensor_value_info("label", kind, ["n"])]
    if form == "zipmap":
        key = "classlabels_strings" if text else "classlabels_int64s"
        nodes.append(helper.make_node("ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", **{key: names}))
        one = helper.make_map_type_proto(kind, helper.make_tensor_type_proto(types.FLOAT, None))
        outputs.append(helper.make_value_info("probabilities", helper.make_sequence_type_proto(one)))
    elif form == "columns":
        nodes.append(helper.make_node("Split", ["p"], ["i0", "i1", "i2"], axis=1, num_outputs=3))
        outputs += [helper.make_tensor_value_info(f"i{place}", types.FLOAT, ["n", 1]) for place in range(3)]
    else:
        labels = outputs if form == "array" else []
        outputs = [*labels, helper.make_tensor_value_info("p", types.FLOAT, ["n", 3])]
    given = helper.make_tensor_value_info("x", types.FLOAT, ["n", rows.shape[1]])
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "g", [given], outputs), opset_imports=sets, ir_version=8)
    if form == "metadata":
        helper.set_model_props(model, {"names": str({at: f"class_{place}" for at, place in enumerate(order)})})
    onnx.save(model, path)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


@pytest.mark.parametrize("form", ["zipmap", "columns", "array", "metadata"])
def test_classes_of_a_model_in_onnx_go_by_name(tmp_path: Path, form: str) -> None:
    table = load("wine")
    ids = np.asarray(table.validation.ids)
    expected = _classifier(tmp_path / "m.onnx", [2, 0, 1], text=True, form=form)[ids]
    teacher = teacher_of(f"onnx:{tmp_path / 'm.onnx'}", table)
    assert teacher.named  # type: ignore[attr-defined]
    np.testing.assert_allclose(said_of(teacher, table), expected, atol=1e-4)
    if form != "metadata":
        expected = _classifier(tmp_path / "m.onnx", [0, 1, 2], text=False, form=form)[ids]
        teacher = teacher_of(f"onnx:{tmp_path / 'm.onnx'}", table)
        assert not teacher.named  # type: ignore[attr-defined]
        np.testing.assert_allclose(said_of(teacher, table), expected, atol=1e-4)


def test_columns_of_a_model_in_onnx_have_types_of_their_own(data: Dataset, frame: pd.DataFrame, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper, types = onnx.helper, onnx.TensorProto
    kinds = {"count": types.INT64, "colour": types.STRING, "petal_width": types.FLOAT, "ripe": types.BOOL}
    given = [helper.make_tensor_value_info(name, kind, ["n", 1]) for name, kind in kinds.items()]
    colours = {"keys_strings": ["blue", "red", "white"], "values_floats": [0.0, 1.0, 2.0]}
    nodes = [
        helper.make_node("Cast", ["count"], ["c"], to=types.FLOAT),
        helper.make_node("Cast", ["ripe"], ["r"], to=types.FLOAT),
        helper.make_node("LabelEncoder", ["colour"], ["k"], domain="ai.onnx.ml", **colours),
        helper.make_node("Concat", ["c", "k", "petal_width", "r"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "w"], ["logits"]),
    ]
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    out = helper.make_tensor_value_info("logits", types.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "g", given, [out], [onnx.numpy_helper.from_array(weight, "w")])
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "m.onnx")
    colour = frame["colour"].map({"blue": 0, "red": 1, "white": 2})
    scores = np.stack([frame["count"], colour, frame["petal width"], frame["ripe"]], axis=1).astype(float) @ weight
    shares = np.exp(scores - scores.max(1, keepdims=True))
    assert_says(teacher_of(f"onnx:{tmp_path / 'm.onnx'}", data), data, shares / shares.sum(1, keepdims=True))
