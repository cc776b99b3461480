"""Training a student with a head: the borrowed classifier stays as it is, and a run that was cut goes on."""

from __future__ import annotations

import pytest
import torch

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.metrics import measure, predictions
from autokd.networks.models import seeded
from autokd.spec import PipelineSpec, make
from tests.engine.helpers import context, pipeline, teacher, through_a_file, trained


@pytest.fixture(scope="module")
def where(digits: Dataset) -> TrainContext:
    return context(digits, teacher(digits.task))


def spec(*others: str) -> PipelineSpec:
    """The published recipe has no other loss."""
    losses = {name: make("losses", name, {}) for name in ("simkd", *others)}
    return pipeline(losses=losses, head=make("heads", "simkd", {}))


def test_the_classifier_stays_the_teachers_and_the_student_comes_to_project_its_feature(where: TrainContext) -> None:
    result, end = trained(where, spec(), epochs=6)
    assert where.teacher is not None and where.teacher.head is not None
    weight, bias = where.teacher.head
    assert torch.equal(end["student"]["classifier.weight"], weight)
    assert bias is not None and torch.equal(end["student"]["classifier.bias"], bias)
    losses = [line["terms"]["simkd"] for line in result.curve]
    assert losses[-1] < losses[0] / 2


def test_the_accuracy_is_that_of_the_whole_student(where: TrainContext) -> None:
    result, end = trained(where, spec("ce"))
    assert where.teacher is not None
    with seeded(0):
        student = build_student(spec().student, where.data.task, head=spec().head, teacher=where.teacher.offers)
    student.load_state_dict(end["student"])
    logits = predict(student, where.validation_data)
    assert measure(predictions(logits, where.data.validation.labels)) == result.metrics
    assert result.score == result.metrics["accuracy"]


def test_a_run_that_was_cut_goes_on_bit_for_bit(where: TrainContext) -> None:
    _, half = trained(where, spec("ce", "rkd"), epochs=2, until=1)
    one, end = trained(where, spec("ce", "rkd"), epochs=2, start=through_a_file(half))
    other, straight = trained(where, spec("ce", "rkd"), epochs=2)
    assert one.score == other.score
    assert all(torch.equal(end["student"][name], tensor) for name, tensor in straight["student"].items())


def test_a_plain_head_changes_nothing(where: TrainContext) -> None:
    _, bare = trained(where, pipeline(), epochs=1)
    _, plain = trained(where, pipeline(head=make("heads", "plain", {})), epochs=1)
    assert bare["student"].keys() == plain["student"].keys()
    assert all(torch.equal(tensor, plain["student"][name]) for name, tensor in bare["student"].items())
