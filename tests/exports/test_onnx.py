"""ONNX models answer about raw samples as the student does: pictures of any size, and rows as they stand in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor, nn

import autokd
from autokd.batching import single
from autokd.data import DataOptions, Dataset, load
from autokd.delivery import bundle as bundles
from autokd.delivery.student import Student
from autokd.errors import ComponentError
from autokd.graphs import running
from autokd.modalities import tables
from autokd.modalities.columns import CategoricalColumn, DateColumn
from autokd.modalities.dates import parse
from autokd.spec import make
from tests.exports.helpers import bundle_of


class Exported(NamedTuple):
    student: Student
    session: Any

    def check(self, given: Mapping[str, NDArray[Any]], raw: Any) -> None:
        """The model's answers are the student's, at once, one by one, and for no sample."""
        expected = self.student.probabilities(raw, skip_bad=True).to_numpy()
        logits, probabilities, labels = self.session.run(None, dict(given))
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        np.testing.assert_allclose(logits, self.logits(raw), atol=1e-4)
        assert labels.tolist() == [self.student.classes[place] for place in expected.argmax(1)]
        for row in range(3):
            one = self.session.run(None, {name: values[row : row + 1] for name, values in given.items()})
            np.testing.assert_allclose(one[1], expected[row : row + 1], atol=1e-4)
        assert self.session.run(None, {name: values[:0] for name, values in given.items()})[2].shape == (0,)

    def logits(self, raw: Any) -> NDArray[np.float32]:
        inputs = self.student._read(raw, skip_bad=True).inputs
        found: NDArray[np.float32] = self.student.logits(self.student.preprocess.apply(inputs)).numpy()
        return found


def exported(folder: Path, data: Dataset, student: Any = None) -> Exported:
    bundle = bundle_of(folder / "student", data, student, temperature=1.7)
    written = autokd.export_model(bundle, format="onnx", output=folder / "it.onnx")
    assert written.files == (folder / "it.onnx",)
    return Exported(autokd.load_student(bundle), running.session(folder / "it.onnx", threads=1))


def test_digits(tmp_path: Path) -> None:
    digits = load("digits")
    made = exported(tmp_path, digits)
    images = single(digits.train.inputs)[:500].permute(0, 2, 3, 1).numpy()
    made.check({"image": images}, images)
    made.check({"image": images.repeat(3, axis=3)}, images)  # in colour, all channels alike
    assert [(each.name, each.type, each.shape) for each in made.session.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", "height", "width", "channels"])
    ]
    assert [(each.name, each.type, each.shape) for each in made.session.get_outputs()] == [
        ("logits", "tensor(float)", ["batch", 10]),
        ("probabilities", "tensor(float)", ["batch", 10]),
        ("label", "tensor(string)", ["batch"]),
    ]


def test_what_the_metadata_say(digits: Dataset, tmp_path: Path) -> None:
    made = exported(tmp_path, digits)
    told = {key: json.loads(value) for key, value in made.session.get_modelmeta().custom_metadata_map.items()}
    assert told["classes"] == list(digits.task.classes) and told["dataset"] == "digits"
    assert told["temperature"] == 1.7 and told["autokd"] == autokd.__version__
    assert told["preprocess"] == digits.preprocess.to_json()
    assert told["inputs"]["image"].startswith("uint8 [batch, height, width, channels], 1 channel (grey) or 3 (RGB)")
    assert made.session.get_modelmeta().producer_name == "autokd"


@pytest.mark.parametrize("rule", ["crop", "pad", "squash"])
def test_pictures_of_other_sizes_in_colour(rule: str, digits: Dataset, tmp_path: Path) -> None:
    photo = photos()[0]
    folder = tmp_path / "pictures"
    for place, name in enumerate(("sky", "roof") * 6):
        (folder / name).mkdir(parents=True, exist_ok=True)
        photo.crop((30 * place, 20 * place, 30 * place + 90, 20 * place + 71)).save(folder / name / f"{place}.png")
    data = load(folder, DataOptions(image_size=24, resize=rule))
    made = exported(tmp_path, data, make("students", "resnet", {"depth": 8, "width": 4}))
    for size in ((640, 427), (101, 33), (24, 24), (31, 9), (1, 1)):
        pixels = np.asarray(photo.resize(size))[None].repeat(3, axis=0)
        made.check({"image": pixels}, list(pixels))
        grey = pixels[..., :1]
        made.check({"image": grey}, list(grey))


def photos() -> list[Any]:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(each) for each in load_sample_images().images]


def given_of(data: Dataset, frame: DataFrame) -> dict[str, NDArray[Any]]:
    """Rows in the form of the model's inputs, from the cells as text."""
    found: dict[str, NDArray[Any]] = {}
    for column in data.preprocess.columns:  # type: ignore[attr-defined]
        cells = frame[column.name]
        if isinstance(column, CategoricalColumn):
            values: NDArray[Any] = cells.astype(str).to_numpy(dtype=object)
        elif isinstance(column, DateColumn):
            seconds = (parse(tables.texts(cells), column.pattern) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
            values = np.asarray(seconds, dtype=np.float64)
        else:
            values = tables.numbers(cells, column.form)[0]
        found[column.name] = values[:, None]
    return found


def test_breast_cancer_with_gaps(cancer: Dataset, tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).data
    frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    data = load((frame.iloc[:400], load_breast_cancer().target[:400]))
    made = exported(tmp_path, data)
    made.check(given_of(data, frame[:500]), frame[:500])


def test_a_table_with_a_column_of_every_kind(mixed: Dataset, mixed_file: Path, tmp_path: Path) -> None:
    types = [type(column).__name__ for column in mixed.preprocess.columns]  # type: ignore[attr-defined]
    assert sorted(set(types)) == ["CategoricalColumn", "DateColumn", "NumericColumn"]
    made = exported(tmp_path, mixed, make("students", "mlp", {}))
    frame = pd.read_csv(mixed_file, sep=";", dtype=str, keep_default_na=False).drop(columns="class")
    made.check(given_of(mixed, frame[:500]), frame[:500])
    asked = {each.name: each.type for each in made.session.get_inputs()}
    assert asked["seen"] == asked["height"] == "tensor(double)" and asked["input"] == "tensor(string)"
    assert [each.name for each in made.session.get_outputs()] == ["logits", "probabilities", "label_"]


def test_categories_as_programs_write_them(mixed: Dataset, mixed_file: Path, tmp_path: Path) -> None:
    made = exported(tmp_path, mixed)
    rows = pd.read_csv(mixed_file, sep=";", dtype=str, keep_default_na=False).drop(columns="class")[1:2]
    for name, cells in {"label": ["NaN", "nUlL", "?", "<NA>", "purple"], "input": ["1.0", "7"]}.items():
        for cell in cells:
            frame = rows.assign(**{name: cell})
            expected = made.student.probabilities(frame, skip_bad=True).to_numpy()
            np.testing.assert_allclose(made.session.run(None, given_of(mixed, frame))[1], expected, atol=1e-4)


def test_telco_churn(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "telco_churn" / "Telco-Customer-Churn.csv"
    data = load(file, DataOptions(target="Churn", limit_train=500))
    made = exported(tmp_path, data)
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)[:500]
    made.check(given_of(data, frame), frame)


def test_a_bundle_from_before_calibration_has_a_temperature_of_1(digits: Dataset, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", digits)
    plain = json.loads((bundle / "model.json").read_text())
    del plain["temperature"]
    (bundle / "model.json").write_text(json.dumps(plain))
    autokd.export_model(bundle, format="onnx", output=tmp_path / "it.onnx")
    told = running.session(tmp_path / "it.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(told["temperature"]) == 1.0


class Guessing(nn.Module):
    """Its answer hangs on the number of samples, which a graph fixes when it is traced."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(x.flatten(1)) * len(x)
        return logits


def test_a_student_that_no_graph_can_follow_is_refused(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path / "student", digits)
    loaded = bundles.load_student(bundle)
    odd = Student(Guessing(64), loaded.task, loaded.preprocess, loaded.device, "guessing")
    monkeypatch.setattr("autokd.delivery.subject.load_student", lambda folder: odd)
    with pytest.raises(ComponentError, match="the student guessing says something else as ONNX than in PyTorch"):
        autokd.export_model(bundle, format="onnx", output=tmp_path / "it.onnx")
    assert not (tmp_path / "it.onnx").exists()
