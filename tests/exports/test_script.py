"""Training scripts: they run without autokd, read well, and train what autokd trains."""

from __future__ import annotations

import ast
import dataclasses
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import autokd
from autokd import catalog
from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.engine.build import build_student
from autokd.errors import BundleError
from autokd.exports.code import beside
from autokd.spec import make
from tests.delivery.helpers import pipeline_for, teacher_for
from tests.exports.test_plain_code import REFUSED


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "load_described", lambda reference, data, _: teacher_for(reference, data))


def written(folder: Path, data: Dataset, **parts: Any) -> Path:
    """Write the script of a small pipeline with some parts changed; return its folder."""
    file = pipeline_for(data)
    file = dataclasses.replace(file, spec=dataclasses.replace(file.spec, **parts))
    pipeline_file.write(folder / "pipeline.yaml", file.to_plain())
    autokd.export_model(folder / "pipeline.yaml", format="script", output=folder / "it", dataset=data)
    return folder / "it"


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[str]:
    """Run a script in this process; return what it printed."""
    monkeypatch.setattr(sys, "argv", ["train.py", "--out", str(folder / "student.pt"), *arguments])
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(folder / "train.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    return capsys.readouterr().out.splitlines()


def test_trains_and_writes_weights_that_fit_autokd_s_student(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path, digits, ema=0.3)
    assert sorted(path.name for path in folder.iterdir()) == ["data.npz", "teacher.pt2", "train.py"]
    capsys.readouterr()
    lines = run(folder, monkeypatch, capsys, "--epochs", "3", "--seed", "7")
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines[:-1]]
    assert len(losses) == 3 and losses[-1] < losses[0] and lines[-1].startswith("test accuracy 0.")
    assert run(folder, monkeypatch, capsys, "--epochs", "3", "--seed", "7") == lines
    network = build_student(pipeline_for(digits).spec.student, digits.task)
    network.load_state_dict(torch.load(folder / "student.pt", weights_only=True))


def test_a_teacher_that_is_asked_about_unchanged_samples_is_stored_with_the_data(
    cancer: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = {"ce": make("losses", "ce", {})}
    losses |= {name: make("losses", name, {"weight": 0.01}) for name in ("kd", "rkd")}  # the teacher knows nothing
    folder = written(tmp_path, cancer, augment=make("augments", "none", {}), losses=losses)
    assert sorted(path.name for path in folder.iterdir()) == ["data.npz", "train.py"]
    with np.load(folder / "data.npz") as arrays:
        inputs = (arrays["train_inputs"] - arrays["mean"]) / arrays["std"]
        expected = teacher_for(None, cancer).predict(torch.from_numpy(inputs))
        torch.testing.assert_close(torch.from_numpy(arrays["teacher_logits"]), expected.logits)
        torch.testing.assert_close(torch.from_numpy(arrays["teacher_pooled"]), expected.pooled)
        assert len(arrays["test_labels"]) == cancer.test_size
    lines = run(folder, monkeypatch, capsys, "--epochs", "15")
    assert float(lines[-1].split()[-1]) > 0.8


def test_the_teacher_beside_it_is_the_teacher(digits: Dataset, tmp_path: Path) -> None:
    folder = written(tmp_path, digits)
    ours, theirs = teacher_for(None, digits), torch.export.load(folder / "teacher.pt2").module()
    for size in (1, 5):
        inputs = torch.randn(size, *digits.task.input_shape)
        expected, (logits, _, *features) = ours.predict(inputs), theirs(inputs)
        torch.testing.assert_close(
            (logits, tuple(features)), (expected.logits, expected.features), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize(
    ("student", "augment", "loss"),
    [("mobilenet", "crop_flip", "kd"), ("mlp", "random_erasing", "nkd"), ("resnet", "mixup", "kd")],
)
def test_reads_well(student: str, augment: str, loss: str, digits: Dataset, tmp_path: Path) -> None:
    losses = {"ce": make("losses", "ce", {}), loss: make("losses", loss, {})}
    parts = {"student": make("students", student, {}), "augment": make("augments", augment, {}), "losses": losses}
    script = written(tmp_path, digits, **parts) / "train.py"
    text = script.read_text()
    assert len(text.splitlines()) < 250
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        alias.name if isinstance(node, ast.Import) else str(node.module) for node in imported for alias in node.names
    ]
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"torch", "numpy"}
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    for command in (["check"], ["format", "--check"]) if ruff else ():
        settings = ["--quiet", "--config", str(Path(__file__).parents[2] / "pyproject.toml")]
        done = subprocess.run(
            [str(ruff), *command, *settings, str(script)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_documentation_lists_the_losses_that_can_be_written() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs/exports.md").read_text().split())
    listed = text.split("Of the losses of the package, ")[1].split(" can be written")[0]
    names = listed.replace(" and ", ", ").replace("`", "").split(", ")
    assert names == [name for name in catalog.names("losses") if name not in {*REFUSED, "diffkd"}]


def test_quantisation_aware_training_is_refused_unless_it_is_never(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no plain code for qat \(0.0\)"):
        written(tmp_path, digits, qat=0.0)
    assert "qat" not in (written(tmp_path, digits, qat=1.0) / "train.py").read_text()


def test_refuses_by_name_in_one_line(digits: Dataset, tmp_path: Path) -> None:
    losses = {"ce": make("losses", "ce", {}), "mine": make("losses", "crd", {})}
    parts = {"losses": losses, "augment": make("augments", "randaugment", {})}
    with pytest.raises(BundleError) as error:
        written(tmp_path, digits, **parts, selection=make("selections", "random_fraction", {}))
    said = str(error.value)
    assert "\n" not in said and said.startswith(
        "this pipeline cannot be a script: no plain code for selection (random_f"
    )
    assert "augment (randaugment: it has no plain form; none, crop_flip," in said and "losses.mine (crd: " in said


@pytest.mark.parametrize("form", ["script", "torchdistill"])
def test_a_pipeline_that_learns_from_validation_too_is_refused(form: str, digits: Dataset, tmp_path: Path) -> None:
    file = dataclasses.replace(pipeline_for(digits), all_data=True)
    pipeline_file.write(tmp_path / "pipeline.yaml", file.to_plain())
    with pytest.raises(BundleError, match=r"train\.all_data: what is written here scores each epoch on validation"):
        autokd.export_model(tmp_path / "pipeline.yaml", format=form, output=tmp_path / "it", dataset=digits)
    assert not (tmp_path / "it").exists()
