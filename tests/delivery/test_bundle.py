"""Tests of bundles and predictions: the student in use is the student that was trained."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor

from autokd.batching import single
from autokd.calibration import calibration_error, fit_temperature, softmax
from autokd.data import read_inputs
from autokd.delivery.bundle import TrainedStudent, load_student, write_bundle
from autokd.delivery.predict import predict
from autokd.engine.build import build_student
from autokd.engine.evaluate import predict as predict_split
from autokd.engine.views import to_device
from autokd.errors import BundleError, DataError
from autokd.networks import state_file
from tests.delivery.helpers import CPU, Trained, pipeline_for

Bundles = Callable[[str], Trained]
FILES = {"student.safetensors", "model.json", "preprocess.json", "metrics.json", "pipeline.yaml", "README.md"}


def _rows(inputs: Tensor, labels: Tensor) -> Counter[tuple[bytes, int]]:
    return Counter((row.tobytes(), int(label)) for row, label in zip(inputs.numpy(), labels, strict=True))


def _seen(made: Trained) -> Counter[tuple[bytes, int]]:
    """Every sample of the dataset, as the network was given it."""
    splits = (made.data.train, made.data.validation, made.data.read_test())
    return sum((_rows(single(split.inputs), split.labels) for split in splits), Counter())


def _save_pngs(inputs: Tensor, folder: Path) -> list[Path]:
    """Find each input among scikit-learn's digits and write that digit as an image file."""
    raw = [np.rint(image * 255 / 16).astype(np.uint8) for image in load_digits().images]
    place = {image.tobytes(): i for i, image in enumerate(raw)}
    files = [folder / f"{i:04}.png" for i in range(len(inputs))]
    for file, row in zip(files, inputs.numpy(), strict=True):
        Image.fromarray(raw[place[row.tobytes()]]).save(file)
    return files


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """All rows of breast_cancer as scikit-learn has them."""
    path = tmp_path / "rows.csv"
    load_breast_cancer(as_frame=True).data.to_csv(path, index=False)
    return path


def test_image_files_become_the_very_inputs_of_training(bundles: Bundles, tmp_path: Path) -> None:
    made = bundles("image")
    files = _save_pngs(single(made.data.train.inputs), tmp_path)
    student = load_student(made.directory)
    inputs = student.preprocess.apply(read_inputs(student.preprocess, files).inputs)
    assert torch.equal(single(inputs), single(made.data.train.inputs))
    frame = predict(made.directory, files)
    assert frame["input"].tolist() == [str(file) for file in files]
    probabilities = (student.logits(made.data.train.inputs) / student.temperature).softmax(-1).numpy()
    assert np.array_equal(frame.iloc[:, 3:].to_numpy(), probabilities)


def test_table_rows_become_the_very_inputs_of_training(bundles: Bundles, csv: Path) -> None:
    made = bundles("table")
    student = load_student(made.directory)
    inputs = single(student.preprocess.apply(read_inputs(student.preprocess, [csv]).inputs))
    labels = torch.from_numpy(load_breast_cancer().target)
    names = [student.classes[i] for i in labels]
    assert names[0] == "malignant"
    assert _seen(made) == _rows(inputs, labels)
    probabilities = (student.logits(inputs) / student.temperature).softmax(-1).numpy()
    assert np.array_equal(predict(made.directory, [csv]).iloc[:, 3:].to_numpy(), probabilities)


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_bundle_is_the_trained_student(kind: str, bundles: Bundles) -> None:
    made = bundles(kind)
    trained = build_student(made.file.spec.student, made.data.task)
    trained.load_state_dict(load_file(made.directory / "student.safetensors"))
    expected = predict_split(trained, to_device(made.data.validation, made.data.task, CPU))
    student = load_student(made.directory)
    logits = student.logits(made.data.validation.inputs)
    assert torch.equal(logits, expected)
    accuracy = (logits.argmax(-1) == made.data.validation.labels).double().mean()
    assert float(accuracy) == made.metrics["validation"]["accuracy"]
    assert not student.network.training and not any(p.requires_grad for p in student.network.parameters())


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_temperature_of_a_bundle_is_that_of_its_validation_samples(kind: str, bundles: Bundles) -> None:
    made = bundles(kind)
    student, data = load_student(made.directory), made.data
    logits, labels = student.logits(data.validation.inputs).numpy(), data.validation.labels.numpy()
    assert student.temperature == made.metrics["temperature"] == fit_temperature(logits, labels) != 1.0
    on_test, split = made.metrics["test"], data.read_test()
    probabilities = softmax(student.logits(split.inputs).numpy() / student.temperature)
    assert on_test["calibration_error"] == calibration_error(probabilities, split.labels.numpy())
    assert on_test["calibration_error_raw"] != on_test["calibration_error"]


def test_a_bundle_from_before_temperatures_is_read(bundles: Bundles, tmp_path: Path) -> None:
    directory = _copy(bundles("table"), tmp_path)
    model = json.loads((directory / "model.json").read_text())
    del model["temperature"]
    (directory / "model.json").write_text(json.dumps(model))
    assert load_student(directory).temperature == 1.0


def test_a_bundle_is_text_and_safetensors_only(bundles: Bundles) -> None:
    directory = bundles("image").directory
    assert {path.name for path in directory.iterdir()} - {".lock", "curve.csv"} == FILES
    model = json.loads((directory / "model.json").read_text())
    assert model["student"] == {"use": "cnn", "layers": 2, "width": 4}
    assert (model["format"], model["head"], model["teacher"]) == (1, {"use": "plain"}, None)
    assert model["task"]["classes"] == [str(i) for i in range(10)]


def test_a_bundle_and_its_bare_weights_name_their_architecture(bundles: Bundles) -> None:
    directory = bundles("image").directory
    assert state_file.read(directory).student == {"use": "cnn", "layers": 2, "width": 4}
    assert state_file.read(directory / "student.safetensors").student == {"use": "cnn", "layers": 2, "width": 4}


def test_predictions_have_names_labels_and_probabilities(bundles: Bundles, csv: Path) -> None:
    frame = predict(bundles("table").directory, [csv])
    assert list(frame) == ["input", "label", "probability", "probability of malignant", "probability of benign"]
    assert frame["input"].tolist()[:2] == [f"{csv}:1", f"{csv}:2"]
    assert np.allclose(frame.iloc[:, 3:].sum(axis=1), 1.0)
    likelier = frame["probability of benign"] > frame["probability of malignant"]
    assert (frame["label"] == np.where(likelier, "benign", "malignant")).all()
    assert (frame["probability"] == frame.iloc[:, 3:].max(axis=1)).all()


def test_a_table_without_a_column_is_refused(bundles: Bundles, csv: Path) -> None:
    csv.write_text(csv.read_text().replace("mean radius", "mean radios", 1))
    with pytest.raises(DataError, match="no column 'mean radius'; did you mean 'mean radios'"):
        predict(bundles("table").directory, [csv])


def _copy(made: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.directory, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["student.safetensors", "model.json", "preprocess.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_bundle_is_one_clear_line(bundles: Bundles, tmp_path: Path, name: str, damage: str) -> None:
    file = _copy(bundles("table"), tmp_path) / name
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(BundleError, match="copy") as caught:
        load_student(file.parent)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_in_the_weights_is_seen(bundles: Bundles, tmp_path: Path) -> None:
    file = _copy(bundles("table"), tmp_path) / "student.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="its weights are not the recorded ones"):
        load_student(file.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2; this version of autokd reads format 1"),
        ({"head": {"use": "simkd"}}, "head 'simkd' needs a teacher"),
        ({"head": {"use": "simkt"}}, "did you mean 'simkd'"),
        ({"extra": 1}, "missing or unknown keys: extra"),
        ({"student": {"use": "mlp", "depth": 7}}, "cannot be loaded"),
        ({"student": {"use": "mpl"}}, "did you mean 'mlp'"),
        ({"task": {}}, "cannot be loaded"),
    ],
)
def test_a_model_file_of_another_kind(bundles: Bundles, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = _copy(bundles("table"), tmp_path) / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BundleError, match=message) as caught:
        load_student(file.parent)
    assert "\n" not in str(caught.value)


def test_a_bundle_from_before_there_were_heads_is_read(bundles: Bundles, tmp_path: Path) -> None:
    file = _copy(bundles("table"), tmp_path) / "model.json"
    model = json.loads(file.read_text())
    assert (model["head"], model.pop("teacher")) == ({"use": "plain"}, None)
    file.write_text(json.dumps(model | {"head": "plain"}))
    inputs, now = bundles("table").data.validation.inputs, load_student(bundles("table").directory)
    assert torch.equal(load_student(file.parent).logits(inputs), now.logits(inputs))


def test_loading_leaves_the_callers_random_state_alone(bundles: Bundles) -> None:
    directory = bundles("table").directory
    torch.manual_seed(5)
    load_student(directory)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a student bundle"):
        load_student(tmp_path)


def test_a_bundle_is_written_over_another(bundles: Bundles, tmp_path: Path) -> None:
    made = bundles("table")
    directory = _copy(made, tmp_path)
    state = {name: tensor + 1 for name, tensor in load_file(directory / "student.safetensors").items()}
    document = pipeline_for(made.data).to_plain()
    student = TrainedStudent(spec=made.file.spec, teacher=None, state=state)
    write_bundle(directory, student, dataset=made.data, metrics={"n": 1}, pipeline_doc=document)
    assert all(
        torch.equal(tensor, state[name]) for name, tensor in load_student(directory).network.state_dict().items()
    )
    assert json.loads((directory / "metrics.json").read_text()) == {"format": 1, "n": 1}
