"""A teacher that answers about samples as they are: the engine asks it by their ids, and never about a changed view."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from autokd import batching
from autokd.data import Dataset
from autokd.engine.answers import find_sources
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.errors import ComponentError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.models import NetworkTeacher
from autokd.space import find, parse
from autokd.spec import make
from tests.engine.helpers import CPU, assert_same, context, pipeline, teacher, trained

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}


def answered(network: NetworkTeacher, data: Dataset) -> AnsweredTeacher:
    """What a network says of every sample, by their ids."""
    parts = [to_device(split, data.task, CPU) for split in (data.train, data.validation, data.read_test())]
    logits = torch.cat([predict_teacher(network, part) for part in parts])
    return AnsweredTeacher(logits, origin="stored", fingerprint="0" * 16)


def test_stored_answers_train_as_the_network_that_gave_them(digits: Dataset) -> None:
    network = teacher(digits.task)
    stored = answered(network, digits)
    half = make("selections", "random_fraction", {"share": 0.5})
    for spec in (pipeline(losses=KD), pipeline(losses=KD, selection=half)):
        result, end = trained(context(digits, network), spec)
        again, other = trained(context(digits, stored), spec)
        assert [line["loss"] for line in again.curve] == [line["loss"] for line in result.curve]
        assert_same(end, other)


def test_every_split_and_any_part_of_it_gets_its_own_answers(digits: Dataset) -> None:
    network = teacher(digits.task)
    stored, where = answered(network, digits), context(digits, network)
    shuffled = batching.take_split(digits.validation, torch.randperm(len(digits.validation)))
    for split in (digits.train, digits.validation, digits.read_test(), shuffled):
        data = to_device(split, digits.task, CPU)
        assert torch.equal(predict_teacher(stored, data), predict_teacher(network, data))
    assert torch.equal(
        predict_teacher(stored, where.short_validation_data), predict_teacher(network, where.short_validation_data)
    )


def test_a_pipeline_that_changes_samples_is_refused(digits: Dataset) -> None:
    where = context(digits, answered(teacher(digits.task), digits))
    message = "augment.crop_flip: it changes the samples, and the teacher answers about them as they are; take none"
    with pytest.raises(ComponentError, match=message):
        find_sources(where, pipeline(losses=KD, augment=("crop_flip", {})))
    find_sources(where, pipeline(augment=("crop_flip", {})))  # nobody reads the teacher


def test_made_up_samples_have_no_stored_answers(digits: Dataset) -> None:
    split = dataclasses.replace(digits.train, ids=None)
    with pytest.raises(ComponentError, match="these are made up"):
        predict_teacher(answered(teacher(digits.task), digits), to_device(split, digits.task, CPU))


def test_a_space_is_left_without_what_such_a_teacher_cannot_serve(digits: Dataset) -> None:
    stored = answered(teacher(digits.task), digits)
    for name in ("image", "image_all_losses", "digits"):
        left = parse(*find(name)).resolve(digits.task, stored.offers)
        assert left.default().plain["augment"] == {"use": "none"}
        assert any("crop_flip changes the samples, and the teacher answers about them" in line for line in left.dropped)
        assert not any(part.startswith("features") for part in left.teacher_parts())
    assert "crop_flip" in str(parse(*find("image")).resolve(digits.task, None).identity()["augment"])
