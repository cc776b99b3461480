"""Tests of `autokd.delivery.full_training`."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
from safetensors.torch import load_file

from autokd.data import Dataset
from autokd.delivery.full_training import Given, train
from autokd.delivery.teller import Listeners
from autokd.delivery.training_state import load_training
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import BundleError, DataError, TeacherError
from autokd.seeds import derive
from autokd.spec import make
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from autokd.teaching.taught import load_described
from autokd.types import Split
from tests import processes
from tests.delivery.helpers import CPU, Trained, pipeline_for, run, teacher_for

Bundles = Callable[[str], Trained]


class Stop:
    """Raises Ctrl-C's exception when an epoch is done."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __call__(self, line: Mapping[str, Any]) -> None:
        if line["epoch"] == self.epoch:
            raise KeyboardInterrupt


def _interrupted(made: Trained, out: Path, epoch: int = 2) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(made.file, out, made.data, on_epoch=Stop(epoch))
    assert not (out / "metrics.json").exists()


def _assert_same_result(made: Trained, out: Path, metrics: dict[str, Any]) -> None:
    assert (out / "student.safetensors").read_bytes() == (made.directory / "student.safetensors").read_bytes()
    assert metrics | {"seconds": 0} == made.metrics | {"seconds": 0}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _killed_while_writing(path: Path, content: bytes) -> None:
    raise OSError("killed while writing")


@pytest.mark.parametrize("kind", ["image", "table"])
def test_interrupted_and_resumed_equals_uninterrupted(kind: str, bundles: Bundles, tmp_path: Path) -> None:
    made = bundles(kind)
    _interrupted(made, tmp_path)
    lines: list[Mapping[str, Any]] = []
    metrics = run(made.file, tmp_path, made.data, on_epoch=lines.append)
    assert [(line["epoch"], line["epochs"]) for line in lines] == [(3, 3)]
    _assert_same_result(made, tmp_path, metrics)


def test_it_equals_one_call_of_the_engine(bundles: Bundles) -> None:
    made = bundles("image")
    teacher = teacher_for(None, made.data)
    context = TrainContext(data=made.data, teacher=teacher, device=CPU, bank=TeacherBank())
    seen, view_seed = 3 * len(made.data.train), derive(3, "view")
    rung = Rung(seed=3, view_seed=view_seed, horizon=seen, until=seen)
    result, checkpoint = train_rung(context, made.file.spec, rung)
    state = load_file(made.directory / "student.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in checkpoint["student"].items())
    assert made.metrics["validation"]["accuracy"] == result.score


def test_a_damaged_checkpoint_is_passed_over(
    bundles: Bundles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = bundles("table")
    _interrupted(made, tmp_path)
    content = bytearray((tmp_path / "checkpoint.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "checkpoint.pt").write_bytes(content)
    found = load_training(tmp_path)
    assert found is not None and len(found.curve) == 1  # the one before
    assert "checkpoint.pt is damaged" in caplog.text
    _assert_same_result(made, tmp_path, run(made.file, tmp_path, made.data))
    assert _names(tmp_path) == _names(made.directory)


def test_a_damaged_checkpoint_never_takes_the_place_of_the_good_one_before_it(
    bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundles("table")
    _interrupted(made, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"half a fi")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed while writing"):
        patch.setattr("autokd.engine.checkpoint.write_bytes", _killed_while_writing)
        run(made.file, tmp_path, made.data)
    kept = load_training(tmp_path)
    assert kept is not None and len(kept.curve) == 1


def test_without_any_whole_checkpoint_it_starts_anew(bundles: Bundles, tmp_path: Path) -> None:
    made = bundles("table")
    _interrupted(made, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    (tmp_path / "checkpoint.previous.pt").write_bytes(b"half a fi")
    (tmp_path / ".checkpoint.pt.part").write_bytes(b"killed while writing")
    _assert_same_result(made, tmp_path, run(made.file, tmp_path, made.data))


def test_a_finished_bundle_is_not_trained_again(bundles: Bundles, caplog: pytest.LogCaptureFixture) -> None:
    made = bundles("image")
    caplog.set_level(logging.INFO, "autokd")
    metrics = run(made.file, made.directory, made.data, on_epoch=Stop(1))
    assert metrics == made.metrics
    assert "is already trained" in caplog.text


def test_another_pipeline_in_the_folder_is_refused_with_the_difference(bundles: Bundles) -> None:
    made = bundles("table")
    kd = make("losses", "kd", {"temperature": 2.5})
    spec = dataclasses.replace(made.file.spec, losses={**made.file.spec.losses, "kd": kd})
    with pytest.raises(BundleError, match="another pipeline") as caught:
        run(dataclasses.replace(made.file, spec=spec), made.directory, made.data, epochs=9)
    assert "pipeline.losses.kd.temperature is 4.0 there, 2.5 here; train.epochs is 3 there, 9 here;" in str(
        caught.value
    )
    assert made.metrics == json.loads((made.directory / "metrics.json").read_text())


def test_a_folder_with_other_files_is_refused_and_left_alone(cancer: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(BundleError, match=r"holds other files \(thesis.tex"):
        run(pipeline_for(cancer), tmp_path, cancer)
    with pytest.raises(BundleError, match="is a file; give a folder"):
        run(pipeline_for(cancer), tmp_path / "thesis.tex", cancer)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_other_data_are_refused_and_nothing_is_written(cancer: Dataset, digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"fingerprint {cancer.task.fingerprint}, the file says") as caught:
        run(pipeline_for(digits), tmp_path / "out", cancer)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_or_changed_teacher_is_refused(cancer: Dataset, tmp_path: Path) -> None:
    file = pipeline_for(cancer)
    with pytest.raises(TeacherError, match=r"losses\.kd reads a teacher"):
        run(dataclasses.replace(file, teacher=None), tmp_path / "a", cancer)
    with pytest.raises(TeacherError, match="the pipeline file says another"):
        run(dataclasses.replace(file, teacher_fingerprint="another"), tmp_path / "b", cancer)


def test_a_teacher_that_had_to_be_trained_again_is_a_warning(
    cancer: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = {"use": "trained", "epochs": 4}
    file = dataclasses.replace(pipeline_for(cancer, epochs=1), teacher=trained, teacher_fingerprint="another")
    metrics = run(file, tmp_path, cancer)
    assert "was trained again" in caplog.text
    assert metrics["teacher_fingerprint"] == teacher_for(None, cancer).fingerprint


@pytest.mark.parametrize("kind", ["gradient boosting", "forest", "MLPs"])
def test_a_default_teacher_that_is_needed_again_is_the_same_on_mixed_rows_too(
    cancer: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(default_teacher, "_accuracy", lambda candidate, _: float(candidate.name == kind))
    file = dataclasses.replace(pipeline_for(cancer, epochs=2), teacher=default_teacher.reference(Effort(2)))
    made = []
    for name in ("first", "again"):
        monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / name / "cache"))
        out = tmp_path / name / "out"
        train(file, out, Given(cancer, partial(load_described, device=CPU)), device=CPU)
        made.append((out / "student.safetensors").read_bytes())
        teacher = default_teacher.obtain(cancer, Effort(2), CPU)
        file = dataclasses.replace(file, teacher_fingerprint=teacher.fingerprint)
    assert made[0] == made[1]


def test_without_distillation_no_teacher_is_loaded_and_the_test_split_is_read_once(
    cancer: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    original = Dataset.read_test

    def noted(self: Dataset) -> Split:
        reads.append(1)
        return original(self)

    monkeypatch.setattr(Dataset, "read_test", noted)

    def check(line: Mapping[str, Any]) -> None:
        assert not reads

    file = pipeline_for(cancer, distil=False)
    file = file.with_training(epochs=2, seed=8)
    metrics = train(file, tmp_path, Given(cancer), device=CPU, listeners=Listeners(on_epoch=check))
    assert reads == [1]
    assert (metrics["epochs"], metrics["seed"], metrics["test"]["n"]) == (2, 8, len(original(cancer)))
    assert 0.6 < metrics["test"]["accuracy"] <= 1.0


def test_the_curve_is_about_the_metric_that_the_study_was_about(cancer: Dataset, tmp_path: Path) -> None:
    file = dataclasses.replace(pipeline_for(cancer, distil=False), objective="log_loss")
    told: list[Mapping[str, Any]] = []
    metrics = run(file, tmp_path, cancer, on_epoch=told.append)
    assert metrics["objective"] == "log_loss" and {line["objective"] for line in told} == {"log_loss"}
    assert metrics["curve"][-1]["score"] == -metrics["validation"]["log_loss"]
    assert run(file, tmp_path, cancer)["objective"] == "log_loss"  # read from the bundle
    with pytest.raises(BundleError, match=r"another pipeline: objective is 'log_loss' there, 'macro_f1' here;"):
        run(dataclasses.replace(file, objective="macro_f1"), tmp_path, cancer)


def test_two_processes_do_not_train_into_one_folder(cancer: Dataset, tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(BundleError, match="another process is training"):
        run(pipeline_for(cancer), tmp_path, cancer)


def test_the_callers_random_state_is_left_alone(cancer: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(5)
    run(pipeline_for(cancer, epochs=1), tmp_path, cancer)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))


def test_epochs_and_seed_must_make_sense(cancer: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="got 0 and 3"):
        run(pipeline_for(cancer), tmp_path, cancer, epochs=0)


def test_other_data_do_not_go_on_with_a_training_whose_file_names_none(
    cancer: Dataset, digits: Dataset, tmp_path: Path
) -> None:
    file = dataclasses.replace(pipeline_for(cancer, distil=False), data_fingerprint=None)
    with pytest.raises(KeyboardInterrupt):
        run(file, tmp_path, cancer, on_epoch=Stop(1))
    other = dataclasses.replace(cancer, task=dataclasses.replace(cancer.task, fingerprint="another"))
    with pytest.raises(BundleError, match="is of another pipeline, teacher or data"):
        run(file, tmp_path, other)


KILLED = """
import os, signal, sys
from pathlib import Path
from autokd.data import load
from tests.delivery.helpers import pipeline_for, run

out, left = Path(sys.argv[1]), int(sys.argv[2])

def count(event, arguments):
    global left
    writes = event in ("os.rename", "os.remove") or event == "open" and set(str(arguments[1])) & set("wa")
    if writes and str(arguments[0]).startswith(str(out)):
        left -= 1
        if not left:
            if event == "os.rename" and str(arguments[0]).endswith(".tmp"):  # it is written in part
                os.truncate(arguments[0], os.path.getsize(arguments[0]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

data = load("breast_cancer")
sys.addaudithook(count)
run(pipeline_for(data), out, data)
"""
"""A training that is killed when it is about to change its so-manieth file."""


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_as_one_that_was_not(bundles: Bundles, tmp_path: Path) -> None:
    made, folder, seen = bundles("table"), tmp_path / "bundle", []
    for changes in (12, 12, 19, 26):
        ended = processes.run(KILLED, folder, str(changes), folder=tmp_path)
        assert ended.code == -signal.SIGKILL, ended.said
        kept, there = load_training(folder), _names(folder)
        seen.append((kept and len(kept.curve), "student.safetensors" in there, "metrics.json" in there))
    assert seen == [(1, False, False), (2, False, False), (3, True, False), (3, True, True)]
    _assert_same_result(made, folder, run(made.file, folder, made.data))
    assert _names(folder) == _names(made.directory)
    assert (folder / "curve.csv").read_text() == (made.directory / "curve.csv").read_text()
