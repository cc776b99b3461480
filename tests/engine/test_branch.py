"""The side branch on which a rung may be scored: the run does not know of it, and its own rate falls to 0."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from autokd.data import Dataset
from autokd.engine import branch as branch_module
from autokd.engine import loop
from autokd.engine.loop import Stopped, train_rung
from autokd.engine.rung import Rung
from autokd.engine.step import LiveRun, train_step
from autokd.errors import TrialFailure
from autokd.spec import PipelineSpec, make
from tests.engine.helpers import (
    NotingLoss,
    NotingSchedule,
    NotingStudent,
    assert_same,
    context,
    losses_of,
    pipeline,
    table_pipeline,
    teacher,
    through_a_file,
    trained,
)

LOSSES = {name: make("losses", name, {}) for name in ("ce", "kd", "hint", "crd")}
STATEFUL = {
    "hint with its regressor, mixup": pipeline(losses={k: LOSSES[k] for k in ("ce", "hint")}, augment=("mixup", {})),
    "crd with its memory, kd": pipeline(losses={k: LOSSES[k] for k in ("ce", "crd", "kd")}, augment=("crop_flip", {})),
    "mlp with dropout, adamw": table_pipeline(losses={k: LOSSES[k] for k in ("ce", "kd")}),
}


@pytest.fixture(params=STATEFUL)
def case(request: pytest.FixtureRequest, digits: Dataset, cancer: Dataset) -> tuple[PipelineSpec, Dataset]:
    return STATEFUL[request.param], cancer if request.param.startswith("mlp") else digits


def test_the_run_is_bit_identical_with_and_without_its_branches(case: tuple[PipelineSpec, Dataset]) -> None:
    spec, data = case
    whole, at_end = trained(context(data, teacher(data.task)), spec, epochs=4)
    plain, without = trained(context(data, teacher(data.task)), spec, epochs=4, until=2)
    where = context(data, teacher(data.task))
    branched, half_way = trained(where, spec, epochs=4, until=2, branch=0.5)
    assert_same(without, half_way)
    assert losses_of(plain) == losses_of(branched) and plain.loss != branched.loss
    rest, at_end_too = trained(where, spec, epochs=4, start=through_a_file(half_way))
    assert_same(at_end, at_end_too)
    assert (whole.score, whole.loss) == (rest.score, rest.loss)


def test_a_rung_left_before_its_end_gives_the_same_branch(case: tuple[PipelineSpec, Dataset]) -> None:
    spec, data = case
    whole, _ = trained(context(data, teacher(data.task)), spec, epochs=6, until=3, branch=0.25)
    _, cut = trained(context(data, teacher(data.task)), spec, epochs=6, until=1)
    rest, _ = trained(context(data, teacher(data.task)), spec, epochs=6, until=3, branch=0.25, start=cut)
    assert (whole.score, whole.loss) == (rest.score, rest.loss)
    _, end = trained(context(data, teacher(data.task)), spec, epochs=6, until=3)
    only, _ = trained(context(data, teacher(data.task)), spec, epochs=6, until=3, branch=0.25, start=end)
    assert (whole.score, whole.loss) == (only.score, only.loss)


@pytest.mark.parametrize("asked", [3, 6, 7])
def test_a_branch_can_be_left_and_is_then_trained_again(digits: Dataset, asked: int) -> None:
    where, spec, calls = context(digits), pipeline(losses={"ce": LOSSES["ce"]}), itertools.count(1)
    whole, end = trained(where, spec, epochs=12, until=6, branch=0.5)
    rung = Rung(seed=3, view_seed=7, horizon=12 * 129, until=6 * 129, branch=0.5)
    with pytest.raises(Stopped) as left:
        train_rung(where, spec, rung, stop=lambda: next(calls) == asked)
    assert left.value.checkpoint["seen"] == min(asked, 6) * 129 and len(left.value.curve) == min(asked, 6)
    rest, end_too = trained(where, spec, epochs=12, until=6, branch=0.5, start=left.value.checkpoint)
    assert (rest.score, rest.loss) == (whole.score, whole.loss)
    assert_same(end, end_too)


def test_a_branch_takes_the_batches_and_views_that_come_next(digits: Dataset) -> None:
    def seen(until: int, branch: float) -> tuple[list[torch.Tensor], NotingLoss]:
        student, loss = NotingStudent(), NotingLoss()
        spec = pipeline(student=student, augment=("mixup", {}), losses={"ce": loss})
        trained(context(digits), spec, epochs=4, until=until, branch=branch)
        return student.inputs, loss

    views, loss = seen(4, 0.0)
    with_branch, noted = seen(2, 0.6)  # 129 samples in batches of 32: 5 steps an epoch, and 6 in the branch
    assert len(with_branch) == 2 * 5 + 6
    for mine, trunks in zip(with_branch, views, strict=False):
        assert torch.equal(mine, trunks)
    assert [step.index.tolist() for step in noted.steps] == [step.index.tolist() for step in loss.steps[:16]]
    assert [step.u for step in noted.steps] == [step.u for step in loss.steps[:16]]


@pytest.mark.parametrize(
    ("until", "branch", "steps"), [(8, 0.25, 10), (8, 0.26, 10), (4, 0.1, branch_module.BRANCH_STEPS), (9, 1.0, 5)]
)
def test_the_rate_falls_to_nothing_within_the_horizon(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, until: int, branch: float, steps: int
) -> None:
    rates: list[float] = []

    def noting(run: LiveRun, *others: object) -> torch.Tensor:
        found = train_step(run, *others)  # type: ignore[arg-type]
        rates.append(run.student.optimizer.param_groups[0]["lr"])
        return found

    monkeypatch.setattr(loop, "train_step", noting)
    monkeypatch.setattr(branch_module, "train_step", noting)
    schedule = NotingSchedule(factor=lambda u: 2.0 if u < until / 10 else 1.0)
    trained(context(digits), pipeline(schedule=schedule), epochs=10, until=until, branch=branch)
    assert rates[: 5 * until] == [0.2] * 5 * until
    assert rates[5 * until :] == pytest.approx([0.1 * (1 - (step + 0.5) / steps) for step in range(steps)])
    assert max(schedule.asked) < 1


def test_a_promoted_trial_finds_the_teachers_outputs_of_its_branch(digits: Dataset) -> None:
    spec = pipeline(losses={"ce": LOSSES["ce"], "kd": LOSSES["kd"]}, augment=("crop_flip", {}))
    where = context(digits, teacher(digits.task))
    _, end = trained(where, spec, epochs=6, until=2, branch=0.5)
    assert (where.bank.counts.computed, where.bank.counts.hits) == (3, 0)
    trained(where, spec, epochs=6, start=end)
    assert (where.bank.counts.computed, where.bank.counts.hits) == (6, 1)


def test_a_branch_without_end_fails_the_rung(digits: Dataset) -> None:
    spec = pipeline(schedule=NotingSchedule(factor=lambda u: 1.0 if u < 0.5 else math.inf))
    assert trained(context(digits), spec, epochs=4, until=2)[0].score >= 0
    with pytest.raises(TrialFailure, match="NaN or infinite"):
        trained(context(digits), spec, epochs=4, until=2, branch=0.25)


def test_the_run_itself_is_scored_where_its_curve_has_a_point(digits: Dataset) -> None:
    result, _ = trained(context(digits), pipeline(), epochs=27, until=3, branch=0.25)
    assert ["score" in line for line in result.curve] == [False, False, True]
    result, _ = trained(context(digits), pipeline(), epochs=27, until=4, branch=0.25)
    assert ["score" in line for line in result.curve] == [False, False, True, False]
