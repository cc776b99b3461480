"""Searches by the accuracy after int8, limits on the size of that file, and latency under onnxruntime."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import autokd
from autokd.cli.console.claim import summary
from autokd.data import DataOptions, Dataset, load
from autokd.engine.build import build_student
from autokd.errors import MissingDependency, NothingFeasible, SpaceError, StudyError, UserError
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.graphs.answers import int8_graph, predict_graph
from autokd.metrics import METRICS, predictions
from autokd.networks.cost import student_cost
from autokd.objective import ACCURACY, of_names
from autokd.options import Limits
from autokd.search.identity import in_options
from autokd.search.limits import INT8_SIZE, ONNX, Measures, Meter, checked, resolve_space
from autokd.search.population import population
from autokd.space import parse
from autokd.spec import from_plain, make
from tests.search.spaces import CPU, SPACE, context, resolved
from tests.search.test_objective import search

INT8 = METRICS["accuracy_int8"]
SHORT = f"""{SPACE.split("budget:")[0].replace("hint: {}", "nkd: {}").replace("width: {int: [3, 12]}", "width: 4")}
budget:
  {{trials: 3, recipes: 2, epochs: 2, rungs: 1, noise_seeds: 0, finalists: 1, select_seeds: 1, choose_seeds: 2,
   claim_seeds: 2, fresh_claim: false, teacher_epochs: 1}}
"""


def meter(digits: Dataset, **measures: Any) -> Meter:
    known: dict[str, float] = {}
    return Meter(digits.task, CPU, None, 1, known, known.__setitem__, Measures(**measures))


def run(digits: Dataset, metric: str, until: int, student: Path | None = None) -> Any:
    plain = {**resolved(digits).default().plain, "student": {"use": "cnn", "width": 12, "layers": 2}}
    job = RungJob(pipeline=plain, seed=1, view_seed=2, horizon=2, until=until, student=student)
    outcome = run_job(dataclasses.replace(context(digits), metric=metric), job)
    assert outcome.result is not None, outcome.failure
    return outcome.result


def test_a_full_run_is_scored_by_its_file_in_8_bits_and_a_shorter_one_in_float(digits: Dataset, tmp_path: Path) -> None:
    in_float = run(digits, "accuracy", until=2)
    found = run(digits, "accuracy_int8", until=2, student=tmp_path / "student.safetensors")
    student = build_student(make("students", "cnn", {"width": 12, "layers": 2}), digits.task)
    student.load_state_dict(load_file(tmp_path / "student.safetensors"))
    made = context(digits)
    logits = predict_graph(int8_graph(student, digits.task, digits.train), made.validation_data)
    value = INT8.of(predictions(logits, digits.validation.labels))
    assert found.score == found.metrics["accuracy_int8"] == value
    assert found.loss != in_float.loss, "the answers are others"
    assert {name: found.metrics[name] for name in in_float.metrics} == in_float.metrics
    without_time = [{k: v for k, v in line.items() if k != "seconds"} for line in found.curve]
    assert without_time == [{k: v for k, v in line.items() if k != "seconds"} for line in in_float.curve]
    short, of_float = run(digits, "accuracy_int8", until=1), run(digits, "accuracy", until=1)
    assert (short.score, short.metrics) == (of_float.score, of_float.metrics) and "accuracy_int8" not in short.metrics


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> autokd.Study:
    folder = tmp_path_factory.mktemp("int8")
    return search(folder, text=SHORT, objective="accuracy_int8", latency_with="onnx", max_latency=1e3, trials=3)


def test_every_arm_is_chosen_and_claimed_by_its_file_in_8_bits(study: autokd.Study) -> None:
    digits = load("digits", DataOptions(limit_train=128, seed=3))
    claim, records = study.recommendation, study.store.records
    assert claim is not None and claim.metric == "accuracy_int8"
    assert all(r.score == r.metrics["accuracy_int8"] for r in records.runs if not r.failure) and records.runs
    top = [trial.rungs[-1] for trial in records.trials.values()]
    assert len(top) == 3 and all(rung.score == rung.metrics["accuracy_int8"] for rung in top)
    kept = load_file(study.path / "confirm" / "round0.safetensors")
    arm = claim.used
    spec = from_plain(arm.pipeline)
    network = build_student(spec.student, digits.task, head=spec.head, teacher=study.store.offers)
    network.load_state_dict(load_file(study.path / "confirm" / "round0" / f"{arm.name}-0.safetensors"))
    expected = predict_graph(int8_graph(network, digits.task, digits.train), context(digits).validation_data)
    assert torch.equal(kept[f"{arm.name}/0/validation"], expected.half())
    assert arm.test[0] == INT8.of(predictions(kept[f"{arm.name}/0/test"].float(), kept["labels/test"]))
    assert arm.cost[INT8_SIZE] > 1_000 and arm.cost["latency"] > 0
    assert study.store.settings.identity.latency_device == "cpu with onnxruntime in 8 bits"
    out = io.StringIO()
    Console(file=out, width=300).print(summary(study, as_json=False))
    assert "Latency: one sample on cpu with onnxruntime in 8 bits" in out.getvalue()
    assert "best --format onnx --int8" in out.getvalue()
    page = study.report_path.read_text()
    assert "test accuracy after int8" in page and "each student scored by its file in 8 bits" in page
    assert "on cpu with onnxruntime in 8 bits" in page


def test_another_runtime_is_another_study(study: autokd.Study) -> None:
    given: dict[str, Any] = {"text": SHORT, "objective": "accuracy_int8", "max_latency": 1e3, "trials": 3}
    with pytest.raises(StudyError, match=r"latency_device: 'cpu with onnxruntime in 8 bits' in the study, 'cpu' asked"):
        search(study.path.parents[1], **given)
    limit = "space.constraints.size_int8: 20000.0 in the study, 10000.0 asked"
    assert in_options([limit]) == ["--max-size: 20000.0 in the study, 10000.0 asked"]


def test_the_size_in_8_bits_is_bounded_by_what_the_file_takes(digits: Dataset) -> None:
    made, limits = meter(digits, int8=True), {"max_params": None, "max_size": 9_000.0}
    offers = context(digits).teacher.offers  # type: ignore[union-attr]
    space = resolve_space(parse(SPACE, "test.yaml"), digits.task, offers, limits, INT8)
    assert (space.constraints[INT8_SIZE], space.constraints["size"]) == (9_000, 36_000)
    students, _ = population(space, digits.task, 3, size=6, meter=made)
    everyone, _ = population(resolved(digits), digits.task, 3, size=6)
    sizes = [made.int8_size({"student": student}) for student in everyone]
    assert students == [s for s, size in zip(everyone, sizes, strict=True) if size <= 9_000]
    assert min(sizes) < 9_000 < max(sizes)
    assert made.excess({"student": everyone[0]}, {INT8_SIZE: sizes[0] / 2}) == 2 and made.cost({"student": everyone[0]})
    with pytest.raises(NothingFeasible, match=r"\(size_int8 <= 100 bytes\); the smallest possible one .* 8 bits"):
        tight = dataclasses.replace(space, constraints={INT8_SIZE: 100.0})
        population(tight, digits.task, 3, size=4, meter=made)
    as_before = resolve_space(parse(SPACE, "test.yaml"), digits.task, offers, limits, METRICS["accuracy"])
    assert as_before.constraints["size"] == 9_000 and INT8_SIZE not in as_before.constraints


def test_latency_under_onnxruntime_is_of_the_graph_that_is_deployed(digits: Dataset) -> None:
    students = [{"use": "cnn", "width": 3, "layers": 1}, {"use": "cnn", "width": 64, "layers": 3}]
    for int8 in (False, True):
        made = meter(digits, runtime=ONNX, int8=int8)
        small, large = (made({"student": student}) for student in students)
        assert 0 < small < large < 5000
    assert made.where == "cpu with onnxruntime in 8 bits"
    assert student_cost(make("students", "cnn", {"width": 3, "layers": 1}), digits.task).params < 10_000


def test_what_cannot_be_measured_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"accuracy_int8 must be the first objective"):
        of_names("macro_f1,accuracy_int8")
    with pytest.raises(SpaceError, match=r"objective.accuracy_int8: it must be the first objective"):
        parse(f"objective: {{accuracy: maximize, accuracy_int8: maximize}}\n{SPACE}", "test.yaml")
    with pytest.raises(UserError, match=r"--latency-with onx: did you mean 'onnx'\?"):
        checked(ACCURACY, Limits(latency_with="onx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert checked(ACCURACY, Limits()) is ACCURACY
    with pytest.raises(MissingDependency, match=r"pip install 'autokd\[onnx\]'"):
        checked(of_names("accuracy_int8"), Limits())
    with pytest.raises(MissingDependency, match=r"pip install 'autokd\[onnx\]'"):
        checked(ACCURACY, Limits(latency_with=ONNX))
