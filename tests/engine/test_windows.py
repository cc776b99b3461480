"""Losses that count in a part of training only."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from autokd.data import Dataset
from autokd.engine.build import build_run
from autokd.engine.loop import train_epoch
from autokd.engine.rung import Epoch
from autokd.loss_keys import LossKeys
from autokd.networks.models import seeded
from autokd.spec import PlacedLoss, make
from autokd.types import Step
from tests.engine.helpers import (
    NotingLoss,
    NotingTeacher,
    assert_same,
    context,
    pipeline,
    teacher,
    through_a_file,
    trained,
)

CE = make("losses", "ce", {})


def during(loss: Any, begin: float = 0.0, end: float = 1.0) -> PlacedLoss:
    return PlacedLoss(loss=loss, keys=LossKeys(begin=begin, end=end))


def shares(steps: list[Step]) -> list[float]:
    return [step.u for step in steps]


def test_a_term_is_computed_in_its_window_only(digits: Dataset) -> None:
    early, late = NotingLoss(), NotingLoss()
    losses = {"early": during(early, end=0.3), "late": during(late, begin=0.3)}
    result, _ = trained(context(digits), pipeline(losses=losses), epochs=5)
    steps = 5 * 5  # of batches of 32
    assert len(early.steps) + len(late.steps) == steps + 1  # and the gradient norms of the last epoch
    assert max(shares(early.steps)) < 0.3 <= min(shares(late.steps))
    terms = [line["terms"].keys() for line in result.curve]
    assert terms == [{"early"}, {"early", "late"}, {"late"}, {"late"}, {"late"}]
    assert result.curve[-1]["gradient_norms"].keys() == {"late"}


def test_a_terms_value_is_the_mean_over_where_it_counted(digits: Dataset) -> None:
    loss = NotingLoss()
    result, _ = trained(context(digits), pipeline(losses={"ce": CE, "noting": during(loss, begin=0.75)}), epochs=2)
    assert "noting" not in result.curve[0]["terms"]
    steps = loss.steps[:-1]  # the last one is for the gradient norms
    values = [-(s.targets * s.student.logits.log_softmax(-1)).sum(-1) for s in steps]
    assert 0 < len(steps) < 5
    assert result.curve[1]["terms"]["noting"] == pytest.approx(float(torch.cat(values).mean()), rel=1e-5)
    assert result.curve[1]["terms"]["ce"] != pytest.approx(result.curve[1]["terms"]["noting"], rel=1e-5)


def test_a_rung_sees_the_window_of_the_whole_horizon(digits: Dataset) -> None:
    late = NotingLoss()
    spec = pipeline(losses={"ce": CE, "late": during(late, begin=0.5)})
    short, checkpoint = trained(context(digits), spec, epochs=4, until=2)
    assert not late.steps and all(line["terms"].keys() == {"ce"} for line in short.curve)
    rest, end = trained(context(digits), spec, epochs=4, start=through_a_file(checkpoint))
    assert min(shares(late.steps)) == 0.5
    whole, whole_end = trained(context(digits), spec, epochs=4)
    assert [*short.curve, *rest.curve][-1]["terms"] == whole.curve[-1]["terms"]
    assert_same(end, whole_end)


@pytest.mark.parametrize("reads", ["stored", "live"])
def test_nobody_asks_the_teacher_where_no_term_reads_it(digits: Dataset, reads: Any) -> None:
    asked = NotingTeacher(teacher(digits.task))
    parts: Any = frozenset({"features"}) if reads == "live" else frozenset()
    loss = NotingLoss(teacher=reads, reads=parts)
    where = context(digits, asked)
    where.bank.holds_features = lambda *_: False  # type: ignore[method-assign]
    spec = pipeline(losses={"ce": CE, "late": during(loss, begin=0.5)})
    _, checkpoint = trained(where, spec, epochs=4, until=2)
    assert not asked.inputs
    trained(where, spec, epochs=4, start=checkpoint)
    assert asked.inputs and all(step.teacher is not None for step in loss.steps)


def test_a_term_of_weight_0_is_not_computed(digits: Dataset) -> None:
    asked, idle = NotingTeacher(teacher(digits.task)), NotingLoss(teacher="stored", weight=0.0)
    result, _ = trained(context(digits, asked), pipeline(losses={"ce": CE, "idle": idle}))
    assert not idle.steps and not asked.inputs
    assert all(line["terms"].keys() == {"ce"} for line in result.curve)
    alone, _ = trained(context(digits, asked), pipeline(losses={"ce": CE}))
    assert result.loss == pytest.approx(alone.loss, abs=1e-6)  # the gradient is cut where a loss reads the teacher


@pytest.mark.parametrize(
    "optimizer",
    [("sgd", {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}), ("adamw", {"weight_decay": 0.1})],
)
def test_what_has_no_gradient_in_a_stage_does_not_move(digits: Dataset, optimizer: Any) -> None:
    losses = {"hint": make("losses", "hint", {"end": 0.5}), "ce": make("losses", "ce", {"begin": 0.5})}
    where = context(digits, teacher(digits.task))
    spec, size = pipeline(losses=losses, optimizer=optimizer), len(digits.train)
    with seeded(0):
        run = build_run(where, spec, 4 * size)
    student, regressor = run.student.network, run.student.term_modules

    def state(epoch: int) -> dict[str, Any]:
        train_epoch(where, spec, run, Epoch(epoch, 4, 3, 7))
        return copy.deepcopy({"student": student.state_dict(), "regressor": regressor.state_dict()})

    begin = copy.deepcopy({"student": student.state_dict(), "regressor": regressor.state_dict()})
    first, second, third = state(0), state(1), state(2)
    layers = {name: layer for name, layer in student.named_modules() if isinstance(layer, nn.Linear)}
    head = [f"{name}.{part}" for name, layer in layers.items() for part, _ in layer.named_parameters()]
    assert head
    for name in head:  # the classifier has no part in the first stage: no step, no weight decay
        assert torch.equal(second["student"][name], begin["student"][name]), name
        assert not torch.equal(third["student"][name], second["student"][name]), name
    weights = [name for name, value in begin["regressor"].items() if value.is_floating_point()]
    assert any(not torch.equal(first["regressor"][name], begin["regressor"][name]) for name in weights)
    for name in weights:  # nor the regressor in the second, whatever its momentum
        assert torch.equal(third["regressor"][name], second["regressor"][name]), name
