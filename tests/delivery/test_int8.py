"""A bundle keeps what its student loses in 8 bits; test is looked at where the float student was, and once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from autokd.data import DataOptions, Dataset, load
from autokd.delivery.bundle import TrainedStudent
from autokd.delivery.int8 import keep_int8, measure_int8
from autokd.delivery.measured import measured_for
from autokd.delivery.subject import Subject
from autokd.engine.build import build_student
from autokd.engine.views import to_device
from autokd.graphs.answers import int8_graph, predict_graph
from autokd.graphs.network import network_graph
from autokd.metrics import METRICS
from autokd.networks.models import seeded
from autokd.report.sections.recommendation.card import _in_int8
from autokd.study.int8 import Int8, measured_int8
from autokd.study.split_reads import reads_of_test
from autokd.types import Split
from tests.delivery.helpers import pipeline_for
from tests.exports.helpers import bundle_of

Measure = Callable[[dict[str, Any]], Int8]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits", DataOptions(limit_train=128))


@pytest.fixture
def measure(data: Dataset, tmp_path: Path) -> Measure:
    """Measure the student of a bundle in a study's folder whose metrics say this, and keep it."""
    bundle = bundle_of(tmp_path / "best", data)

    def run(metrics: dict[str, Any]) -> Int8:
        before = json.loads((bundle / "metrics.json").read_text(encoding="utf-8"))
        (bundle / "metrics.json").write_text(json.dumps({**before, **metrics}), encoding="utf-8")
        subject = Subject(bundle, data=data)
        network, task = subject.student.network, subject.student.task
        graphs = network_graph(network, task), int8_graph(network, task, data.train)
        found = measure_int8(subject, *graphs, float_size=200, size=90)
        keep_int8(subject, found)
        return found

    return run


def test_validation_size_and_latency_are_kept_in_metrics_and_model_card(measure, data: Dataset, tmp_path: Path) -> None:
    found = measure({})
    assert found.test is None and found.validation.n == len(data.validation) and found.calibration == 128
    assert found.latency > 0 and found.float_latency > 0 and (found.size, found.float_size) == (90, 200)
    assert measured_int8(tmp_path / "best") == found
    card = (tmp_path / "best" / "README.md").read_text(encoding="utf-8")
    assert "## In 8 bits" in card and "accuracy on validation | size of the file" in card and "| 90 bytes |" in card


def test_test_is_read_where_the_float_figure_is_there_and_once(
    measure, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    original = Dataset.read_test

    def noted(self: Dataset) -> Split:
        reads.append(1)
        return original(self)

    monkeypatch.setattr(Dataset, "read_test", noted)
    line = {"time": 0.0, "round": 3, "why": "claim"}
    (tmp_path / "test_reads.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    of_the_claim = {"test": {"accuracy": 0.1, "n": 359, "note": "of the claim"}}
    assert measure(of_the_claim).test is None and not reads
    own = {"test": {"accuracy": 0.1, "n": data.test_size}}
    found = measure(own)
    assert found.test is not None and found.test.n == data.test_size and len(reads) == 1
    assert measure(own).test == found.test and len(reads) == 1
    assert [(read.why, read.round) for read in reads_of_test(tmp_path)] == [("claim", 3), ("int8", 3)]


def test_a_bundle_that_cannot_be_written_stays_as_it_is(measure, tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("autokd.delivery.int8.add_metrics", refuse)
    measure({})
    assert "stays as it is: Read-only file system" in caplog.text and measured_int8(tmp_path / "best") is None


def test_full_training_measures_its_student_in_8_bits_where_the_pipeline_is_about_that(data: Dataset) -> None:
    file = pipeline_for(data)
    with seeded(1):
        network = build_student(file.spec.student, data.task)
    trained = TrainedStudent(spec=file.spec, teacher=None, state=network.state_dict())
    found = measured_for(METRICS["accuracy_int8"], trained, data, data.validation, torch.device("cpu"))
    graph = int8_graph(network, data.task, data.train)
    answers = predict_graph(graph, to_device(data.validation, data.task, torch.device("cpu")))
    assert found["accuracy_int8"] == float((answers.argmax(1) == data.validation.labels).double().mean())
    in_float = measured_for(METRICS["accuracy"], trained, data, data.validation, torch.device("cpu"))
    assert {**in_float, "accuracy_int8": found["accuracy_int8"]} == found


def test_the_report_shows_it_beside_the_size(measure: Measure, tmp_path: Path) -> None:
    study: Any = SimpleNamespace(path=tmp_path, records=SimpleNamespace(claim=None))
    assert list(_in_int8(study)) == []
    found = measure({})
    (line,) = _in_int8(study)
    assert line.startswith("in 8 bits: 90 B in place of 200 B, ") and found.validation.text in line
    worse = found.validation._replace(high=-0.01)
    keep_int8(Subject(tmp_path / "best"), dataclasses.replace(found, validation=worse))
    assert list(_in_int8(study))[-1] == "8 bits cost accuracy, by more than chance"
