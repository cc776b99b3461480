"""Samples without labels in training: how many of them a batch has, which ones, and what they change."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from autokd.batching import take_split
from autokd.data import Dataset
from autokd.engine.epoch import draw_rows
from autokd.engine.unlabelled import Pool, pool_of, uses_unlabelled
from autokd.spec import PipelineSpec, make, replaced
from autokd.types import Selection, Split
from tests.engine.helpers import NotingLoss, assert_same, context, losses_of, pipeline, teacher, through_a_file, trained

N, U = 48, 72


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """48 digits with labels and 72 without."""
    rest = take_split(digits.train, slice(N, N + U))
    task = dataclasses.replace(digits.task, train_size=N, unlabelled=U)
    unlabelled = dataclasses.replace(rest, labelled=torch.zeros(U, dtype=torch.bool))
    return dataclasses.replace(digits, task=task, train=take_split(digits.train, slice(N)), unlabelled=unlabelled)


def distilled(share: float | None = 0.5, loss: Any = None, **parts: Any) -> PipelineSpec:
    losses = {"ce": make("losses", "ce", {}), "kd": loss or make("losses", "kd", {})}
    return pipeline(losses=losses, unlabelled=share, **parts)


def test_passes_go_through_all_samples_without_labels_before_one_comes_again() -> None:
    pool = Pool(first=10, size=9, taken=3)
    passes = [draw_rows(Selection(10), number, 7, 0.0, pool) for number in range(6)]
    rows = [drawn.rows for drawn in passes if drawn is not None]
    assert all(row[:10].tolist() == list(range(10)) for row in rows)
    turns = torch.cat([row[10:] for row in rows[:3]]), torch.cat([row[10:] for row in rows[3:]])
    assert all(turn.sort().values.tolist() == list(range(10, 19)) for turn in turns)
    assert not torch.equal(*turns)
    other = draw_rows(Selection(10), 0, 8, 0.0, pool)
    assert other is not None and not torch.equal(other.rows, rows[0])


def test_their_share_is_less_where_there_are_too_few(few: Dataset) -> None:
    assert pool_of(few, distilled(0.5), N) == Pool(N, U, N)
    assert pool_of(few, distilled(0.75), N) == Pool(N, U, U)  # not 144: none more often than a labelled one
    assert pool_of(few, distilled(0.75), 20) == Pool(N, U, 60)


@pytest.mark.parametrize("augment", [("none", {}), ("crop_flip", {}), ("mixup", {"alpha": 0.4})], ids=lambda a: a[0])
def test_every_batch_has_its_share_of_them(augment: Any, few: Dataset) -> None:
    loss = NotingLoss(teacher="stored")
    trained(context(few, teacher(few.task)), distilled(0.5, loss, augment=augment), epochs=3)
    steps = loss.steps[:-1]  # the last one measures gradients
    sizes = [len(step.index) for step in steps]
    without = [int((step.index >= N).sum()) for step in steps]
    assert 3 * N - 32 < sum(sizes) < 3 * N + 32 and max(sizes) <= 32  # an epoch is as long as without them
    assert all(abs(some - size / 2) <= 1 for some, size in zip(without, sizes, strict=True))
    for step in loss.steps:  # of mixed samples too: one without a label is mixed with such a one
        assert step.labelled is not None and torch.equal(step.labelled, step.index < N)


def test_a_pipeline_that_does_not_use_them_does_not_notice_them(few: Dataset) -> None:
    alone = dataclasses.replace(few, unlabelled=None)
    network = teacher(few.task)
    spec = distilled(None, augment=("crop_flip", {}))
    assert_same(trained(context(few, network), spec)[1], trained(context(alone, network), spec)[1])
    only_labels = replaced(distilled(0.5), "losses", {"ce": make("losses", "ce", {})})
    assert only_labels.unlabelled is None and not uses_unlabelled(only_labels)
    dkd = distilled(0.5, make("losses", "dkd", {}))  # reads labels: it says nothing of the others
    assert not uses_unlabelled(dkd)
    assert_same(trained(context(few, network), dkd)[1], trained(context(alone, network), dkd)[1])


def test_what_stands_in_their_labels_changes_nothing_and_they_themselves_do(few: Dataset) -> None:
    def state(unlabelled: Split) -> Any:
        data = dataclasses.replace(few, unlabelled=unlabelled)
        return trained(context(data, teacher(few.task)), distilled(0.5, augment=("mixup", {"alpha": 0.4})))[1]

    assert few.unlabelled is not None
    junk = dataclasses.replace(few.unlabelled, labels=(few.unlabelled.labels + 3) % 10)
    others = take_split(few.unlabelled, torch.arange(U).flip(0))
    assert_same(state(few.unlabelled), state(junk))
    assert not torch.equal(state(few.unlabelled)["student"]["fc.weight"], state(others)["student"]["fc.weight"])


@pytest.mark.parametrize("augment", [("none", {}), ("crop_flip", {})], ids=lambda a: a[0])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(augment: Any, few: Dataset) -> None:
    where, spec = context(few, teacher(few.task)), distilled(0.75, augment=augment, selection=None)
    whole, state = trained(where, spec, epochs=5)
    begun, half = trained(where, spec, epochs=5, until=2, branch=0.3)
    rest, end = trained(where, spec, epochs=5, start=through_a_file(half))
    assert losses_of(whole) == [*losses_of(begun), *losses_of(rest)]
    assert_same(state, end)


def test_the_teacher_is_asked_about_those_that_a_pass_has_and_about_all_where_views_never_change(few: Dataset) -> None:
    def answered(augment: Any) -> int:
        where = context(few, teacher(few.task))
        trained(where, distilled(0.25, augment=augment), epochs=1)
        return sum(len(block.tensors["logits"]) for block in where.bank._memory.values())

    assert answered(("none", {})) == N + U
    assert answered(("crop_flip", {})) == N + N // 3


def test_a_loss_with_a_memory_of_every_sample_has_room_for_them(few: Dataset) -> None:
    crd = make("losses", "crd", {"negatives": 16})
    result, _ = trained(context(few, teacher(few.task)), distilled(0.5, crd), epochs=1)
    assert result.score > 0


def test_a_selection_draws_of_those_with_labels_alone(few: Dataset) -> None:
    loss = NotingLoss(teacher="stored")
    half = make("selections", "random_fraction", {"share": 0.5, "redraw": False})
    trained(context(few, teacher(few.task)), distilled(0.5, loss, selection=half), epochs=4)
    index = torch.cat([step.index for step in loss.steps])
    assert len(index[index < N].unique()) == N // 2 and len(index[index >= N].unique()) > N // 2
