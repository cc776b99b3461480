"""What torchdistill gets: losses with our values, and a pipeline that it runs."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import autokd
from autokd import compat
from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.engine.build import build_student
from autokd.errors import BundleError
from autokd.exports.code import beside
from autokd.exports.code.torchdistill import COMPANION, Around, torchdistill_texts, yaml_text
from autokd.spec import PipelineSpec, from_plain, make, to_plain
from autokd.types import Output, Step
from tests.delivery.helpers import pipeline_for, teacher_for
from tests.exports.test_plain_code import CONTEXT, TASK, step_at


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "load_described", lambda reference, data, _: teacher_for(reference, data))


@pytest.fixture
def torchdistill(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torchdistill, and no companion of another test."""
    compat.torchvision()
    pytest.importorskip("torchdistill")
    sys.modules.pop(COMPANION, None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop(COMPANION, None)


def io_of(output: Output) -> dict[str, dict[str, Any]]:
    """What torchdistill's hooks keep of a network."""
    features = {f"features.{i}": {"output": feature} for i, feature in enumerate(output.features)}
    return {".": {"output": output.logits}, "pooled": {"output": output.pooled}, **features}


@pytest.mark.parametrize(
    "fields",
    [
        {"ce": {"label_smoothing": 0.1}, "kd": {"temperature": 2.5, "weight": 0.7}, "nkd": {"weight": 0.3}, "rkd": {}},
        {"ce": {}, "dist": {"temperature": 2.0, "beta": 0.5}, "attention_transfer": {"weight": 0.1}, "pkt": {}},
        {"ce": {"begin": 0.5}, "dkd": {"beta": 2.0}, "sp": {"weight": 0.2}, "cka": {"end": 0.5}},
        {"ce": {"begin": 0.5, "label_smoothing": 0.1}, "kd": {"standardize": True}, "wttm": {"weight": 0.5}},
    ],
)
def test_the_loss_has_our_value(fields: dict[str, dict[str, Any]], tmp_path: Path, torchdistill: None) -> None:
    from torchdistill.common import yaml_util
    from torchdistill.losses.registry import get_high_level_loss

    plain = to_plain(pipeline_for_made_up())
    spec = from_plain({**plain, "losses": {name: {"use": name, **values} for name, values in fields.items()}})
    losses = spec.losses
    texts = torchdistill_texts(spec, TASK, CONTEXT.teacher, Around("it.yaml", "data.npz", "teacher.pt2", "", 3, 0))
    zeros: dict[str, Any] = {
        f"{split}_{part}": np.zeros(1) for split in ("train", "validation", "test") for part in ("inputs", "labels")
    }
    np.savez(tmp_path / "data.npz", **zeros)
    (tmp_path / "it.yaml").write_text(texts.config)
    (tmp_path / f"{COMPANION}.py").write_text(texts.companion)
    sys.path.insert(0, str(tmp_path))
    criterion = get_high_level_loss(yaml_util.load_yaml_file(str(tmp_path / "it.yaml"))["train"]["criterion"])
    step: Step = step_at(0.6)
    assert step.teacher is not None
    for term, _ in criterion.term_dict.values():
        term.u = 0.6
    found = criterion({"student": io_of(step.student), "teacher": io_of(step.teacher)}, {}, step.targets)
    expected = sum(
        loss.weight * loss.declares.scale.value * loss.build(CONTEXT)(step).mean()
        for name, loss in losses.items()
        if fields[name].get("begin", 0.0) <= 0.6 < fields[name].get("end", 1.0)
    )
    assert found.item() == pytest.approx(float(expected), rel=1e-6)
    assert found.dtype == torch.float64


def pipeline_for_made_up() -> PipelineSpec:
    return PipelineSpec(
        student=make("students", "cnn", {"width": 4}),
        augment=make("augments", "crop_flip", {}),
        losses={"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})},
        optimizer=make("optimizers", "sgd", {}),
        schedule=make("schedules", "cosine", {}),
        batch_size=32,
    )


def written(folder: Path, data: Dataset, **parts: Any) -> Path:
    file = pipeline_for(data, epochs=2)
    file = dataclasses.replace(file, spec=dataclasses.replace(file.spec, **parts))
    pipeline_file.write(folder / "pipeline.yaml", file.to_plain())
    autokd.export_model(folder / "pipeline.yaml", format="torchdistill", output=folder / "it", dataset=data)
    return folder / "it"


def test_torchdistill_trains_the_pipeline(
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    torchdistill: None,
) -> None:
    folder = written(tmp_path, digits, losses={name: make("losses", name, {}) for name in ("ce", "kd", "sp")})
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["run.py", "--out", str(folder / "student.pt")])
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(folder / "run.py"), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["epoch 1", "epoch 2"]
    assert lines[-1].startswith("test accuracy 0.")
    network = build_student(pipeline_for(digits).spec.student, digits.task)
    network.load_state_dict(torch.load(folder / "student.pt", weights_only=True))


def test_what_torchdistill_cannot_do_is_refused_by_name_in_one_line(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        written(tmp_path, digits, ema=0.3)
    said = str(error.value)
    assert said == (
        "this pipeline cannot be one of torchdistill: torchdistill has nothing for losses.hint (it has parameters of "
        "its own, and only models train); ema (0.3: it keeps no average of weights)"
    )


def test_numbers_are_numbers_in_yaml() -> None:
    values = {"a": 1e-05, "b": 1e-12, "c": 1.5e-07, "d": True, "e": [0.9, 3], "f": "it", "g": 1e20}
    assert yaml.safe_load(yaml_text(values)) == values
