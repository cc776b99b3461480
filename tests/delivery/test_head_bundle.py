"""A student with a head of its own as a bundle: projector and classifier are in it, the teacher is not needed."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autokd import catalog
from autokd.data import Dataset
from autokd.delivery.bundle import load_student
from autokd.delivery.pipeline_file import parse
from autokd.errors import TeacherError
from autokd.metrics import accuracy, predictions
from autokd.networks import cost
from autokd.networks.reference import load_teacher
from autokd.spec import make
from tests.delivery.helpers import Trained, pipeline_for, run, teacher_for


@pytest.fixture(scope="module", params=["image", "table"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, digits: Dataset, cancer: Dataset):
    data = {"image": digits, "table": cancer}[request.param]
    file = pipeline_for(data, epochs=2)
    losses = {"ce": make("losses", "ce", {}), "simkd": make("losses", "simkd", {})}
    spec = dataclasses.replace(file.spec, losses=losses, head=make("heads", "simkd", {"factor": 4}))
    file, directory = dataclasses.replace(file, spec=spec), tmp_path_factory.mktemp("bundle") / request.param
    return Trained(directory, data, file, run(file, directory, data))


def test_the_bundle_answers_without_the_teacher_as_it_was_measured(made: Trained) -> None:
    student = load_student(made.directory)
    test = made.data.read_test()
    found = predictions(student.logits(test.inputs), test.labels)
    assert accuracy(found) == made.metrics["test"]["accuracy"]
    model = json.loads((made.directory / "model.json").read_text())
    assert model["head"] == {"use": "simkd", "factor": 4} and model["teacher"]["head"] is True


def test_projector_and_classifier_are_in_the_bundle_and_counted(made: Trained) -> None:
    state, teacher = load_file(made.directory / "student.safetensors"), teacher_for(None, made.data)
    assert {name.partition(".")[0] for name in state} == {"student", "projector", "classifier"}
    assert not [name for name in state if name.startswith("student.fc")]
    assert teacher.head is not None and torch.equal(state["classifier.weight"], teacher.head[0])
    student = load_student(made.directory)
    assert (
        made.metrics["params"] == cost.params(student.network) == sum(p.numel() for p in student.network.parameters())
    )
    assert made.metrics["macs"] == cost.macs(student.network, made.data.task)
    assert made.metrics["params"] > cost.student_cost(made.file.spec.student, made.data.task).params


def test_the_pipeline_file_keeps_the_head(made: Trained) -> None:
    plain = made.file.to_plain()
    assert plain["pipeline"]["head"] == {"use": "simkd", "factor": 4}
    assert parse(plain, "test").spec == made.file.spec


OWN_HEAD = """
from dataclasses import dataclass

from torch import nn

from autokd.declarations import Head


@dataclass(frozen=True, kw_only=True)
class Deeper:
    declares = Head(name="t_deeper")

    def build(self, context):
        return lambda student: nn.Sequential(student, Last(context.task.num_classes))


class Last(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(classes, classes)

    def forward(self, output):
        return output._replace(logits=self.layer(output.logits))
"""


def test_a_head_that_says_nothing_of_a_teacher_is_trained_and_comes_back(tmp_path: Path, digits: Dataset) -> None:
    (tmp_path / "own_head.py").write_text(OWN_HEAD)
    catalog.load_plugins(tmp_path / "own_head.py")
    file = pipeline_for(digits, epochs=1)
    file = dataclasses.replace(file, spec=dataclasses.replace(file.spec, head=make("heads", "t_deeper", {})))
    try:
        metrics, test = run(file, tmp_path / "bundle", digits), digits.read_test()
        found = predictions(load_student(tmp_path / "bundle").logits(test.inputs), test.labels)
    finally:
        del sys.modules["autokd_plugin_own_head"]
    assert accuracy(found) == metrics["test"]["accuracy"]
    model = json.loads((tmp_path / "bundle" / "model.json").read_text())
    assert model["head"] == {"use": "t_deeper"} and model["teacher"] is None


def test_such_a_student_is_refused_as_a_teacher_with_the_reason(made: Trained) -> None:
    with pytest.raises(TeacherError, match="has a head of its own"):
        load_teacher(str(made.directory), made.data.task)
