"""The folder that predicts with onnxruntime, numpy and Pillow alone: run in a process that can import nothing else."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pandas import DataFrame
from PIL import Image

import autokd
from autokd.data import DataOptions, Dataset, load
from autokd.errors import ComponentError
from autokd.graphs import running
from autokd.spec import make
from tests.exports.helpers import bundle_of

ALONE = """
import importlib.machinery, runpy, sys
ALLOWED = {"onnxruntime", "numpy", "PIL"} | {"flatbuffers", "google", "packaging", "ml_dtypes"}  # and what those need
class Nothing:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first not in ALLOWED and first not in sys.stdlib_module_names and not first.startswith("_"):
            raise ModuleNotFoundError("not in this environment: " + name)
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(folder: Path, given: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ALONE, str(folder / "predict.py"), str(given)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def predictions(folder: Path, given: Path) -> DataFrame:
    """What the folder's script says, as `autokd predict` gives it."""
    done = run(folder, given)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    frame = DataFrame(rows).set_index("input")
    numbers = frame.columns[1:]
    return frame.astype(dict.fromkeys(numbers, np.float32))


def expect_same(found: DataFrame, expected: DataFrame, *, within: float) -> None:
    assert found.columns.tolist() == expected.columns.tolist() and found.index.tolist() == expected.index.tolist()
    assert found["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(found.iloc[:, 1:], expected.iloc[:, 1:].to_numpy(), atol=within)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two classes, as files of every kind: turned, transparent, grey, with a palette, with 16 bits."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("pictures")
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        (folder / "train" / name).mkdir(parents=True)
        picture = Image.fromarray(photo)
        for place in range(6):
            part = picture.crop((90 * place, 30 * place, 90 * place + 120, 30 * place + 80))
            part.save(folder / "train" / name / f"{place}.png")
    odd = folder / "odd"
    odd.mkdir()
    part = Image.fromarray(load_sample_images().images[0]).crop((0, 0, 90, 60))
    turned = Image.Exif()
    turned[0x0112] = 6
    part.save(odd / "turned.jpg", exif=turned, quality=95)
    part.convert("L").save(odd / "grey.bmp")
    part.quantize(16).save(odd / "palette.gif")
    clear = part.convert("RGBA")
    clear.putalpha(part.convert("L"))
    clear.save(odd / "transparent.png")
    Image.fromarray(np.asarray(part.convert("L")).astype(np.uint16) * 257).save(odd / "sixteen.png")
    return folder


def test_pictures(pictures: Path, tmp_path: Path) -> None:
    data = load(pictures / "train", DataOptions(image_size=32))
    bundle = bundle_of(tmp_path / "student", data, make("students", "resnet", {"depth": 8, "width": 8}))
    written = autokd.export_model(bundle, format="runtime", output=tmp_path / "it")
    assert {file.name for file in written.files} == {"model.onnx", "predict.py", "classes.txt", "README.md"}
    assert len((tmp_path / "it" / "predict.py").read_text().splitlines()) <= 80
    student = autokd.load_student(bundle)
    expect_same(predictions(tmp_path / "it", pictures), student.predict(pictures), within=0.01)


def test_a_table(mixed: Dataset, mixed_file: Path, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", mixed, make("students", "mlp", {}))
    autokd.export_model(bundle, format="runtime", output=tmp_path / "it")
    assert len((tmp_path / "it" / "predict.py").read_text().splitlines()) <= 80
    expected = autokd.load_student(bundle).predict(mixed_file)
    expect_same(predictions(tmp_path / "it", mixed_file), expected, within=0.01)
    model = script_of(tmp_path / "it").Model()
    rows = model.read(mixed_file)[:3]
    for column, cell in {"label": "purple", "height": "tall", "seen": "yesterday"}.items():
        with pytest.raises(ValueError, match=f"column '{column}': .*{cell}"):
            model.predict([*rows, {**rows[0], column: cell}])
    with pytest.raises(ValueError, match="column 'height': 'height'"):
        model.predict([{name: cell for name, cell in rows[0].items() if name != "height"}])


def script_of(folder: Path) -> Any:
    """The folder's script as a module."""
    spec = importlib.util.spec_from_file_location("predict_of_a_table", folder / "predict.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_no_picture_is_one_line(digits: Dataset, tmp_path: Path) -> None:
    autokd.export_model(bundle_of(tmp_path / "student", digits), format="runtime", output=tmp_path / "it")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run(tmp_path / "it", tmp_path / "broken.png")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "broken.png" in done.stderr


def test_a_student_of_300_000_parameters_takes_less_than_a_megabyte(digits: Dataset, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", digits, make("students", "resnet", {"depth": 20, "width": 16}))
    assert sum(each.numel() for each in autokd.load_student(bundle).network.parameters()) in range(260_000, 310_000)
    written = autokd.export_model(bundle, format="runtime", output=tmp_path / "it")
    assert sum(file.stat().st_size for file in written.files) < 700_000
    assert written.remarks[0].startswith("weights are kept in 16 bits, which changes a probability")
    session = running.session(tmp_path / "it" / "model.onnx")
    images = digits.train.inputs.permute(0, 2, 3, 1).numpy()  # type: ignore[union-attr]
    student = autokd.load_student(bundle)
    found = session.run(None, {"image": images})[1]
    np.testing.assert_allclose(found, student.probabilities(images).to_numpy(), atol=0.01)


def test_a_folder_with_a_model_in_8_bits(digits: Dataset, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", digits)
    written = autokd.export_model(bundle, format="runtime", output=tmp_path / "it", int8=True, dataset=digits)
    assert written.remarks[0].startswith("accuracy on validation: ") and "in 8 bits" in written.remarks[0]
    kinds = {each.data_type for each in onnx.load(tmp_path / "it" / "model.onnx").graph.initializer}
    assert kinds & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8} and onnx.TensorProto.FLOAT16 not in kinds
    assert script_of(tmp_path / "it").Model().about["classes"] == list(digits.task.classes)


def test_weights_that_16_bits_would_change_too_much_stay_as_they_are(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autokd.exports._runtime._ALIKE", 0.0)
    bundle = bundle_of(tmp_path / "student", digits)
    written = autokd.export_model(bundle, format="runtime", output=tmp_path / "it")
    assert written.remarks[0].startswith("weights are kept in 32 bits: in 16 bits a probability")
    kinds = {each.data_type for each in onnx.load(tmp_path / "it" / "model.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in kinds


def test_a_kind_without_a_script_is_refused(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd.modalities.picture_graph.SCRIPT", None)
    with pytest.raises(ComponentError, match="there is no script that predicts image data; take --format onnx"):
        autokd.export_model(bundle_of(tmp_path / "student", digits), format="runtime", output=tmp_path / "it")
