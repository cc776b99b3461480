"""A student with a head of its own as a bundle: projector and classifier are in it, the teacher is not needed."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

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
    assert made.metrics["params"] == cost.params(student.module) == sum(p.numel() for p in student.module.parameters())
    assert made.metrics["macs"] == cost.macs(student.module, made.data.task)
    assert made.metrics["params"] > cost.student_cost(made.file.spec.student, made.data.task).params


def test_the_pipeline_file_keeps_the_head(made: Trained) -> None:
    plain = made.file.to_plain()
    assert plain["pipeline"]["head"] == {"use": "simkd", "factor": 4}
    assert parse(plain, "test").spec == made.file.spec


def test_such_a_student_is_refused_as_a_teacher_with_the_reason(made: Trained) -> None:
    with pytest.raises(TeacherError, match="has a head of its own"):
        load_teacher(str(made.directory), made.data.task)
