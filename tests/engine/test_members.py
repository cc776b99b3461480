"""Losses that read the members of an ensemble one by one."""

from __future__ import annotations

import pytest
import torch

from autokd.data import Dataset
from autokd.engine.batches import draw_batches
from autokd.engine.build import build_run
from autokd.engine.rung import Epoch
from autokd.errors import ComponentError, SpaceError
from autokd.networks.ensemble import EnsembleTeacher
from autokd.networks.models import seeded, shapes_from_plain, shapes_to_plain
from autokd.space import parse
from autokd.spec import component_from_plain, make
from autokd.types import Output
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
    assert ensemble.offers.members == 2
    assert shapes_from_plain(shapes_to_plain(ensemble.offers)) == ensemble.offers
