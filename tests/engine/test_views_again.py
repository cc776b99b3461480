"""Runs that read stored answers may go through a few views of each sample again and again."""

from __future__ import annotations

import dataclasses

import pytest

from autokd.batching import single
from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.spec import PipelineSpec, make
from tests.engine.helpers import assert_same, context, pipeline, teacher, through_a_file, trained

CROP = ("crop_flip", {"padding": 0.125, "flip": True})
ALONE = pipeline(augment=CROP)
KD = pipeline(augment=CROP, losses={"kd": make("losses", "kd", {})})
LIVE = pipeline(augment=CROP, losses={"hint": make("losses", "hint", {})})


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    split = dataclasses.replace(digits.train, inputs=single(digits.train.inputs)[:64], labels=digits.train.labels[:64])
    return dataclasses.replace(digits, train=split, task=dataclasses.replace(digits.task, train_size=64))


def with_views(data: Dataset, views: int) -> TrainContext:
    where = context(data, teacher(data.task), TeacherBank())
    return dataclasses.replace(where, views=views)


def curve(where: TrainContext, spec: PipelineSpec, epochs: int = 5) -> list[float]:
    result, _ = trained(where, spec, epochs=epochs)
    return [line["loss"] for line in result.curve]


def test_the_teacher_is_asked_about_so_many_views_and_no_more(few: Dataset) -> None:
    fresh, again = with_views(few, 0), with_views(few, 2)
    losses, others = curve(fresh, KD), curve(again, KD)
    assert (fresh.bank.counts.computed, fresh.bank.counts.hits) == (5, 0)
    assert (again.bank.counts.computed, again.bank.counts.hits) == (2, 3)
    assert losses[:2] == others[:2] and losses[2:] != others[2:]
    assert curve(with_views(few, 5), KD) == losses


@pytest.mark.parametrize("spec", [ALONE, LIVE], ids=["no teacher", "asked at every batch"])
def test_whoever_reads_no_stored_answers_sees_new_views(few: Dataset, spec: PipelineSpec) -> None:
    assert curve(with_views(few, 2), spec) == curve(with_views(few, 0), spec)


def test_a_run_that_goes_on_from_its_checkpoint_sees_the_same_views(few: Dataset) -> None:
    whole, end = trained(with_views(few, 3), KD, epochs=5)
    _, half = trained(with_views(few, 3), KD, epochs=5, until=4)
    rest, other = trained(with_views(few, 3), KD, epochs=5, start=through_a_file(half))
    assert rest.score == whole.score
    assert_same(end, other)
