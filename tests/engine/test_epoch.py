"""What an epoch goes over: passes over the rows that a selection draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from autokd.data import Dataset
from autokd.declarations import Selection as SelectionDeclaration
from autokd.engine import prepare
from autokd.engine.epoch import Passes
from autokd.errors import ComponentError
from autokd.spec import PipelineSpec, make, replaced
from autokd.types import BuildContext, DrawnRows, Selection
from tests.engine.helpers import (
    NotingLoss,
    NotingTeacher,
    assert_same,
    context,
    losses_of,
    pipeline,
    teacher,
    through_a_file,
    trained,
)

Draw = Callable[[int, torch.Generator, float], DrawnRows]
CROP = ("crop_flip", {"padding": 0.125, "flip": True})


@dataclass(frozen=True, kw_only=True)
class Given:
    """A selection that draws what a function says."""

    declares = SelectionDeclaration(name="t_given")

    size: int
    draw: Draw
    redraws: bool = False
    asked: list[tuple[int, float]] = field(default_factory=list, compare=False)

    def build(self, context: BuildContext) -> Selection:
        def draw(number: int, generator: torch.Generator, u: float) -> DrawnRows:
            self.asked.append((number, u))
            return self.draw(number, generator, u)

        return Selection(self.size, draw, self.redraws)


def rows_from(first: int, size: int) -> Given:
    return Given(size=size, draw=lambda number, generator, u: DrawnRows(torch.arange(first, first + size)))


@given(train=st.integers(1, 400), share=st.floats(0.01, 1), batch=st.integers(1, 70), epochs=st.integers(1, 12))
def test_epochs_take_about_as_many_samples_as_the_set_has(train: int, share: float, batch: int, epochs: int) -> None:
    passes = Passes(train, max(1, int(share * train)), batch)
    most = -(-passes.size // passes.steps)  # samples of a step
    counted = [sum(part.last - part.first for part in passes.parts_of(epoch)) for epoch in range(epochs)]
    for epoch in range(epochs + 1):
        assert passes.steps_until(epoch) == sum(counted[:epoch])
        whole, rest = divmod(passes.steps_until(epoch), passes.steps)
        seen = whole * passes.size + rest * passes.size / passes.steps
        assert abs(seen - epoch * train) <= most / 2 + 1e-6
    flat = [(p.number, i) for epoch in range(epochs) for p in passes.parts_of(epoch) for i in range(p.first, p.last)]
    assert flat == [divmod(step, passes.steps) for step in range(len(flat))], "passes follow each other without a gap"


def test_with_all_rows_a_pass_is_an_epoch() -> None:
    passes = Passes(129, 129, 32)
    assert [list(passes.parts_of(epoch)) for epoch in range(2)] == [[(0, 0, 5)], [(1, 0, 5)]]


def test_all_rows_train_as_a_pipeline_without_a_selection(digits: Dataset) -> None:
    spec = pipeline(losses={"kd": make("losses", "kd", {})}, augment=CROP)
    where = context(digits, teacher(digits.task))
    plain, end = trained(where, spec, epochs=3, until=2, branch=0.25)
    chosen, other = trained(
        where, replaced(spec, "selection", make("selections", "all", {})), epochs=3, until=2, branch=0.25
    )
    assert (losses_of(plain), plain.score) == (losses_of(chosen), chosen.score)
    assert_same(end, other)


def test_half_of_the_rows_is_gone_over_twice_in_an_epoch(digits: Dataset) -> None:
    loss, selection = NotingLoss(), rows_from(20, 64)
    result, _ = trained(context(digits), pipeline(losses={"ce": loss}, selection=selection), epochs=2)
    index = torch.cat([step.index for step in loss.steps])
    assert len(index) == 4 * 64 and len(result.curve) == 2
    for number in range(4):
        assert index[64 * number : 64 * (number + 1)].sort().values.tolist() == list(range(20, 84))
    assert not torch.equal(index[:64], index[64:128]), "every pass has an order of its own"
    assert selection.asked == [(0, 0.0), (1, 64 / 258), (2, 128 / 258), (3, 192 / 258)]
    shares = [step.u for step in loss.steps]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] < 1
    line = result.curve[0]["loss"]
    first = torch.cat([-(s.targets * s.student.logits.log_softmax(-1)).sum(-1) for s in loss.steps[:4]])
    assert line == pytest.approx(first.mean().item(), rel=1e-5), "the mean over what was drawn"


@pytest.mark.parametrize("name", ["random_fraction", "difference_sampling"])
def test_a_run_that_goes_on_in_the_middle_of_a_pass_is_the_same(
    name: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "REFERENCE_SAMPLES", 1000)  # of the network that difference sampling compares with
    where = context(digits, teacher(digits.task))
    spec = pipeline(
        losses={"kd": make("losses", "kd", {})}, augment=CROP, selection=make("selections", name, {"share": 0.7})
    )
    whole, end = trained(where, spec, epochs=5)
    for until in (1, 2, 4):
        half, state = trained(where, spec, epochs=5, until=until)
        rest, other = trained(where, spec, epochs=5, start=through_a_file(state))
        assert losses_of(half) + losses_of(rest) == losses_of(whole)
        assert rest.score == whole.score
        assert_same(end, other)


def test_a_branch_leaves_the_run_as_it_is_and_stays_in_the_horizon(digits: Dataset) -> None:
    where, loss = context(digits), NotingLoss()
    spec = pipeline(losses={"ce": loss}, selection=make("selections", "random_fraction", {"share": 0.7}))
    _, plain = trained(where, spec, epochs=3, until=2)
    steps = len(loss.steps)
    _, branched = trained(where, spec, epochs=3, until=2, branch=0.25)
    assert_same(plain, branched)
    assert len(loss.steps) == 2 * steps + max(4, round(0.25 * steps))
    assert loss.steps[-1].u < 1


def test_rows_depend_on_the_view_seed_and_not_on_the_runs(digits: Dataset) -> None:
    def rows(seed: int, view_seed: int) -> list[set[int]]:
        loss = NotingLoss()
        spec = pipeline(losses={"ce": loss}, selection=make("selections", "random_fraction", {}))
        trained(context(digits), spec, epochs=1, seed=seed, view_seed=view_seed)
        index = torch.cat([step.index for step in loss.steps])
        return [set(index[:64].tolist()), set(index[64:128].tolist())]

    first, second = rows(1, 2)
    assert first != second
    assert rows(8, 2) == [first, second] != rows(1, 3)


def kd(selection: Any, augment: Any = CROP) -> PipelineSpec:
    return pipeline(losses={"kd": make("losses", "kd", {})}, augment=augment, selection=selection)


def test_the_teacher_answers_the_rows_that_were_drawn_and_no_others(digits: Dataset) -> None:
    asked = NotingTeacher(teacher(digits.task))
    where = context(digits, asked)
    trained(where, kd(rows_from(20, 64)), epochs=2)
    assert sum(map(len, asked.inputs)) == 4 * 64
    trained(where, kd(rows_from(20, 64)), epochs=2, seed=9)
    assert sum(map(len, asked.inputs)) == 4 * 64, "another seed on the same rows finds the answers"
    trained(where, kd(rows_from(20, 64), ("none", {})), epochs=2)
    assert sum(map(len, asked.inputs)) == 5 * 64, "without augmentation all passes are alike"


def test_a_view_that_comes_again_with_other_rows_is_answered_whole_and_once(digits: Dataset) -> None:
    asked = NotingTeacher(teacher(digits.task))
    share = make("selections", "random_fraction", {"share": 0.5})
    trained(context(digits, asked), kd(share, ("none", {})), epochs=3)
    assert sum(map(len, asked.inputs)) == 129
    asked.inputs.clear()
    trained(dataclasses.replace(context(digits, asked), views=2), kd(share), epochs=3)
    assert sum(map(len, asked.inputs)) == 2 * 129
    asked.inputs.clear()
    trained(context(digits, asked), kd(share), epochs=3)
    assert sum(map(len, asked.inputs)) == 6 * 64


def test_stored_answers_are_those_to_the_rows(digits: Dataset) -> None:
    loss = NotingLoss(teacher="stored")
    network = teacher(digits.task)
    spec = pipeline(losses={"kd": loss}, selection=rows_from(33, 50))
    where = context(digits, network)
    trained(where, spec, epochs=1)
    whole = where.clean_answers.outputs.logits
    for step in loss.steps:
        assert step.teacher is not None
        torch.testing.assert_close(step.teacher.logits, whole[step.index], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("policy", ["mixup", "cutmix"])
def test_a_selected_sample_is_mixed_with_selected_ones_only(policy: str, digits: Dataset) -> None:
    loss = NotingLoss(teacher="stored")
    few = (digits.train.labels == 3).nonzero().squeeze(1)
    threes = Given(size=len(few), draw=lambda number, generator, u: DrawnRows(few))
    spec = pipeline(losses={"kd": loss}, augment=(policy, {"alpha": 0.4}), selection=threes)
    trained(context(digits, teacher(digits.task)), spec, epochs=1)
    assert all((step.targets[:, 3] > 1 - 1e-6).all() for step in loss.steps)


def test_weights_are_those_of_the_rows(digits: Dataset) -> None:
    weights = torch.arange(1.0, 65.0) / 32
    drawn = DrawnRows(torch.arange(10, 74), weights)
    loss = NotingLoss()
    trained(
        context(digits),
        pipeline(losses={"ce": loss}, selection=Given(size=64, draw=lambda number, generator, u: drawn)),
        epochs=1,
    )
    assert all(torch.equal(step.weight, weights[step.index - 10]) for step in loss.steps)


def test_equal_weights_train_as_none(digits: Dataset) -> None:
    def end(weights: Tensor | None) -> Any:
        drawn = DrawnRows(torch.arange(64), weights)
        spec = pipeline(selection=Given(size=64, draw=lambda number, generator, u: drawn))
        return trained(context(digits), spec, epochs=1)[1]["student"]["fc.weight"]

    assert torch.equal(end(None), end(torch.ones(64)))
    torch.testing.assert_close(end(None), end(torch.full((64,), 2.0)), rtol=1e-5, atol=1e-6)


def test_a_selection_that_draws_more_than_it_says_is_refused(digits: Dataset) -> None:
    wrong = Given(size=10, draw=lambda number, generator, u: DrawnRows(torch.arange(11)))
    with pytest.raises(ComponentError, match="drew 11 rows for a pass and said 10"):
        trained(context(digits), pipeline(selection=wrong))
