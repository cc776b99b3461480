"""Losses that read the members of an ensemble one by one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import pytest
import torch
from torch import Tensor

from autokd.data import Dataset
from autokd.declarations import Loss, Part, Scale
from autokd.engine.batches import draw_batches
from autokd.engine.build import build_run
from autokd.engine.evaluate import predict_teacher
from autokd.engine.rung import Epoch
from autokd.errors import ComponentError, SpaceError
from autokd.networks.ensemble import EnsembleTeacher
from autokd.networks.models import seeded, shapes_from_plain, shapes_to_plain
from autokd.space import parse
from autokd.spec import component_from_plain, make
from autokd.types import BuildContext, Output, Shapes, Step, Term
from tests.engine.helpers import context, pipeline, teacher, trained
from tests.search.spaces import SPACE

TWO = {
    "ce": make("losses", "ce", {}),
    "kd": component_from_plain("losses", {"use": "kd", "teacher": "teacher.1"}),
    "kd_second": component_from_plain("losses", {"use": "kd", "teacher": "teacher.2"}),
    "kd_mean": make("losses", "kd", {}),
}


@pytest.fixture(scope="module")
def ensemble(digits: Dataset) -> EnsembleTeacher:
    return EnsembleTeacher([teacher(digits.task, seed=seed) for seed in (1, 2)])


def test_each_loss_reads_whom_it_names(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    where, spec = context(digits, ensemble), pipeline(losses=TWO)
    with seeded(0):
        run = build_run(where, spec, 10 * len(digits.train))
    batch, answered, _ = next(iter(draw_batches(where, spec, run, Epoch(0, 10, 1, 0))))
    assert answered.keys() == {"teacher", "teacher.1", "teacher.2"}
    asked: dict[str, Output] = {"teacher": ensemble.predict(batch.inputs)}
    asked |= {f"teacher.{i}": each.predict(batch.inputs) for i, each in enumerate(ensemble.members, start=1)}
    for name, output in asked.items():  # the bank keeps them in half precision
        torch.testing.assert_close(answered[name].logits, output.logits, atol=2e-2, rtol=2e-3)
    assert not torch.allclose(answered["teacher.1"].logits, answered["teacher.2"].logits, atol=0.05)
    assert spec.needs_teacher and pipeline(losses={"kd": TWO["kd"]}).needs_teacher


def test_such_a_pipeline_trains(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    result, _ = trained(context(digits, ensemble), pipeline(losses=TWO))
    assert set(result.curve[-1]["terms"]) == set(TWO)


@pytest.mark.parametrize("members", [1, 2])
def test_a_member_that_is_not_there_is_refused(digits: Dataset, ensemble: EnsembleTeacher, members: int) -> None:
    given = ensemble if members == 2 else ensemble.members[0]
    loss = component_from_plain("losses", {"use": "kd", "teacher": "teacher.3"})
    has = "2" if members == 2 else "no"
    with pytest.raises(ComponentError, match=f"reads teacher.3, and the teacher has {has} members"):
        build_run(context(digits, given), pipeline(losses={"kd": loss}), 1000)


def test_a_space_leaves_out_what_names_a_member_that_is_not_there(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    text = SPACE.replace("{kd: {}, hint: {}}", "{kd: {}, first: {use: kd, teacher: teacher.1}}")
    assert text != SPACE
    space = parse(text, "space.yaml")
    assert space.resolve(digits.task, ensemble.offers).dropped == ()
    (why,) = space.resolve(digits.task, ensemble.members[0].offers).dropped
    assert "losses" in why and "reads member 1 of an ensemble of teachers, and the teacher is one" in why
    wrong = text.replace("teacher.1", "teacher.0")
    with pytest.raises(SpaceError, match=r"there is nobody of this name, got 'teacher\.0'"):
        parse(wrong, "space.yaml")


def test_what_an_ensemble_offers_is_kept(ensemble: EnsembleTeacher) -> None:
    assert ensemble.offers.members == tuple(each.offers for each in ensemble.members)
    assert shapes_from_plain(shapes_to_plain(ensemble.offers)) == ensemble.offers
    before = {**shapes_to_plain(ensemble.offers), "members": 2}  # as studies held it that knew their number alone
    assert len(shapes_from_plain(before).members) == 2


def test_a_loss_reads_every_member_stored_and_live(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    few = dataclasses.replace(digits.train, labelled=torch.arange(len(digits.train)) % 3 > 0)
    half = dataclasses.replace(digits, train=few)
    stored = NotingMembers(teacher="stored", reads_labels=True)
    live = NotingMembers(teacher="live", reads=frozenset({"features"}))
    spec = pipeline(losses={"ce": make("losses", "ce", {}), "stored": stored, "live": live})
    where = context(half, ensemble)
    with seeded(0):
        run = build_run(where, spec, 10 * len(half.train))
    assert not any(source.stored for source in run.sources.values())  # feature maps are not kept unless asked for
    trained(where, spec)
    said = [predict_teacher(member, where.train_data) for member in ensemble.members]
    for loss in (stored, live):
        assert loss.offers[0] == ensemble.offers.members
        step = loss.steps[0]
        assert step.teacher is None and len(step.members) == 2
        assert len(step.members[0].logits) == len(step.index)
        for each, member, logits in zip(step.members, ensemble.members, said, strict=True):
            torch.testing.assert_close(each.logits, logits[step.index], atol=1e-4, rtol=1e-4)
            assert [x.shape[1:] for x in each.features] == [tuple(shape) for shape in member.offers.features]
    assert few.labelled is not None and few.labelled[stored.steps[0].index].all()
    assert not few.labelled[live.steps[0].index].all()


def test_confidences_are_learnt_from(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    where, losses = context(digits, ensemble), {"ce": make("losses", "ce", {}), "camkd": make("losses", "camkd", {})}
    with seeded(0):
        run = build_run(where, pipeline(losses=losses), 10 * len(digits.train))
    assert run.sources.keys() == {"teacher.1", "teacher.2"}  # nobody asks for the mean
    assert all(source.stored for source in run.sources.values())
    result, _ = trained(where, pipeline(losses=losses))
    assert result.curve[-1]["terms"]["camkd"] > 0


def test_without_an_ensemble_such_a_loss_is_refused(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    losses = {"camkd": make("losses", "camkd", {})}
    with pytest.raises(ComponentError, match=r"losses\.camkd: it reads each member of an ensemble"):
        build_run(context(digits, ensemble.members[0]), pipeline(losses=losses), 1000)
    with pytest.raises(ComponentError, match=r"members=True, teacher='none'"):
        Loss(teacher="none", members=True, scale=Scale(1.0, "made up"))
    text = SPACE.replace("{kd: {}, hint: {}}", "{camkd: {}, first: {use: hint, teacher: teacher.1}, hint: {}}")
    space = parse(text, "space.yaml")
    dropped = list(map(str, space.resolve(digits.task, ensemble.offers).dropped))
    assert len(dropped) == 1 and "hint needs features, which the teacher does not offer" in dropped[0]
    dropped = list(map(str, space.resolve(digits.task, ensemble.members[0].offers).dropped))
    assert any("camkd reads each member of an ensemble of teachers, and the teacher is one" in each for each in dropped)
    named = text.replace("camkd: {}", "camkd: {teacher: teacher.1}")
    with pytest.raises(SpaceError, match="this loss reads every member of an ensemble; leave the key out"):
        parse(named, "space.yaml")


def test_features_of_a_member_are_learnt_from(digits: Dataset, ensemble: EnsembleTeacher) -> None:
    hint = component_from_plain("losses", {"use": "hint", "teacher": "teacher.2"})
    result, _ = trained(context(digits, ensemble), pipeline(losses={"ce": make("losses", "ce", {}), "hint": hint}))
    assert result.curve[-1]["terms"]["hint"] > 0


@dataclass(frozen=True, kw_only=True)
class NotingMembers:
    """Cross-entropy that notes every step, and what it is built on."""

    teacher: Literal["stored", "live"]
    reads: frozenset[Part] = frozenset()
    reads_labels: bool = False
    weight: float = 1.0
    steps: list[Step] = field(default_factory=list, compare=False)
    offers: list[tuple[Shapes, ...]] = field(default_factory=list, compare=False)

    @property
    def declares(self) -> Loss:
        scale = Scale(1.0, "made up")
        return Loss(teacher=self.teacher, reads=self.reads, reads_labels=self.reads_labels, members=True, scale=scale)

    def build(self, context: BuildContext) -> Term:
        assert context.teacher is not None
        self.offers.append(context.teacher.members)

        def term(step: Step) -> Tensor:
            self.steps.append(step)
            return -(step.targets * step.student.logits.log_softmax(-1)).sum(-1)

        return term
