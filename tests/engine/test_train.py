"""The training loop by what can be seen of it: what reaches the networks, what changes, what is repeated exactly."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autokd.batching import single
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.evaluate import predict
from autokd.engine.rung import Rung
from autokd.errors import TrialFailure
from autokd.networks.models import state_fingerprint
from autokd.spec import PipelineSpec, make
from autokd.types import Split
from tests import processes
from tests.engine.helpers import (
    CPU,
    FittingLoss,
    IdleLoss,
    NotingLoss,
    NotingSchedule,
    NotingStudent,
    NotingTeacher,
    assert_same,
    context,
    losses_of,
    pipeline,
    table_pipeline,
    teacher,
    through_a_file,
    trained,
)

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}
HINT = {**KD, "hint": make("losses", "hint", {})}

PIPELINES: dict[str, PipelineSpec] = {
    "cnn, sgd, crop_flip, kd": pipeline(augment=("crop_flip", {}), losses=KD),
    "mobilenet, adamw, random_erasing": pipeline(
        student=("mobilenet", {"depth": 2, "width": 4}), optimizer=("adamw", {}), augment=("random_erasing", {})
    ),
    "cnn, hint with its regressor": pipeline(losses=HINT),
    "cnn, mixup, kd": pipeline(augment=("mixup", {}), losses=KD),
    "mlp with dropout, adamw": table_pipeline(losses=KD, augment=("feature_noise", {})),
}


@pytest.fixture(params=PIPELINES)
def case(request: pytest.FixtureRequest, digits: Dataset, cancer: Dataset) -> tuple[PipelineSpec, Dataset]:
    return PIPELINES[request.param], cancer if request.param.startswith("mlp") else digits


def test_a_run_stopped_and_continued_from_a_file_is_bit_identical(case: tuple[PipelineSpec, Dataset]) -> None:
    spec, data = case
    where = context(data, teacher(data.task))
    whole, at_end = trained(where, spec, epochs=4)
    first, half_way = trained(where, spec, epochs=4, until=1)
    rest, at_end_too = trained(context(data, teacher(data.task)), spec, epochs=4, start=through_a_file(half_way))
    assert_same(at_end, at_end_too)
    assert losses_of(whole) == losses_of(first) + losses_of(rest)
    assert (whole.score, whole.loss) == (rest.score, rest.loss)
    assert whole.loss != first.loss


def test_the_teacher_is_bit_identical_before_and_after(case: tuple[PipelineSpec, Dataset]) -> None:
    spec, data = case
    frozen = teacher(data.task)
    before = state_fingerprint(frozen.modules.state_dict())
    _, checkpoint = trained(context(data, frozen), spec)
    assert (
        state_fingerprint(frozen.modules.state_dict())
        == before
        == state_fingerprint(teacher(data.task).modules.state_dict())
    )
    assert all(parameter.grad is None for parameter in frozen.modules.parameters())
    _, initial = trained(context(data, frozen), spec, until=0)
    trainable = {name for name, value in initial["student"].items() if value.is_floating_point()}
    assert all(not torch.equal(initial["student"][name], checkpoint["student"][name]) for name in trainable)


def test_a_losss_own_parameters_train_along(digits: Dataset) -> None:
    where = context(digits, teacher(digits.task))
    _, initial = trained(where, PIPELINES["cnn, hint with its regressor"], until=0)
    _, final = trained(where, PIPELINES["cnn, hint with its regressor"])
    weights = [name for name in initial["losses"] if name.endswith("weight")]
    assert weights and all(not torch.equal(initial["losses"][name], final["losses"][name]) for name in weights)


def test_one_trial_does_not_affect_the_next(digits: Dataset) -> None:
    where = context(digits, teacher(digits.task))
    hint, mixup = PIPELINES["cnn, hint with its regressor"], PIPELINES["cnn, mixup, kd"]
    first, at_end = trained(where, mixup)
    trained(where, hint, seed=9)
    again, at_end_again = trained(where, mixup)
    assert_same(at_end, at_end_again)
    assert first.curve == again.curve
    other, _ = trained(where, mixup, seed=4)
    assert other.curve != first.curve


@pytest.mark.parametrize("augment", ["crop_flip", "mixup", "cutmix", "randaugment"])
def test_teacher_and_student_receive_the_identical_tensor(digits: Dataset, augment: str) -> None:
    noting, student = NotingTeacher(teacher(digits.task)), NotingStudent()
    losses = {"live": NotingLoss(teacher="live")}
    trained(context(digits, noting), pipeline(student=student, augment=(augment, {}), losses=losses))
    assert len(student.inputs) == 2 * 5
    for asked, given in zip(noting.inputs, student.inputs, strict=True):
        assert torch.equal(asked, given)


@pytest.mark.parametrize("augment", ["none", "crop_flip", "mixup", "cutmix", "trivial_augment"])
def test_stored_answers_match_a_live_teacher_on_the_students_own_view(digits: Dataset, augment: str) -> None:
    frozen, student, loss = teacher(digits.task), NotingStudent(), NotingLoss(teacher="stored")
    spec = pipeline(student=student, augment=(augment, {}), losses={"noting": loss})
    trained(context(digits, frozen), spec, epochs=2)
    stored = torch.cat([step.teacher.logits for step in loss.steps if step.teacher])
    live = torch.cat([frozen.predict(view).logits for view in student.inputs])
    assert stored.shape == (2 * 129, 10) and not stored.requires_grad
    torch.testing.assert_close(stored, live, rtol=2**-10, atol=2**-12)  # half precision has 11 bits
    assert torch.equal(stored, stored.half().float())


def test_views_depend_on_view_seed_and_epoch_and_order_on_the_trials_seed(digits: Dataset) -> None:
    def views(seed: int, view_seed: int) -> tuple[list[torch.Tensor], list[list[int]]]:
        student, loss = NotingStudent(), NotingLoss()
        spec = pipeline(student=student, augment=("crop_flip", {}), losses={"ce": loss})
        trained(context(digits), spec, seed=seed, view_seed=view_seed)
        orders = [torch.cat([step.index for step in loss.steps[k : k + 5]]) for k in (0, 5)]
        sorted_views = [
            torch.cat(student.inputs[k : k + 5])[order.argsort()] for k, order in zip((0, 5), orders, strict=True)
        ]
        return sorted_views, [order.tolist() for order in orders]

    seen, order = views(1, 1)
    same_views, other_order = views(2, 1)
    other_views, same_order = views(1, 2)
    assert all(torch.equal(a, b) for a, b in zip(seen, same_views, strict=True))
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], other_views[0])
    assert order == same_order and order[0] != order[1] and order[0] != other_order[0]
    assert sorted(order[0]) == list(range(129))


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(32, [26, 26, 26, 26, 25]), (64, [43, 43, 43]), (128, [65, 64]), (256, [129])]
)
def test_no_batch_of_one_sample_is_left_over(digits: Dataset, batch_size: int, sizes: list[int]) -> None:
    loss = NotingLoss()
    trained(context(digits), pipeline(losses={"ce": loss}, batch_size=batch_size), epochs=1)
    assert [len(step.index) for step in loss.steps] == sizes


def test_a_set_of_a_single_sample_trains_where_the_student_can(digits: Dataset) -> None:
    one = dataclasses.replace(digits.train, inputs=single(digits.train.inputs)[:1], labels=digits.train.labels[:1])
    data = dataclasses.replace(digits, train=one, task=dataclasses.replace(digits.task, train_size=1))
    result, _ = trained(context(data), pipeline())
    assert math.isfinite(result.loss)


def test_mixed_targets_are_probabilities_and_the_curve_is_the_mean_over_samples(digits: Dataset) -> None:
    loss = NotingLoss(weight=0.5, scale=3.0)
    result, _ = trained(context(digits), pipeline(augment=("mixup", {}), losses={"ce": loss}), epochs=1)
    targets = torch.cat([step.targets for step in loss.steps])
    index = torch.cat([step.index for step in loss.steps])
    logits = torch.cat([step.student.logits for step in loss.steps])
    assert torch.allclose(targets.sum(1), torch.ones(129)) and int((targets > 0).sum(1).max()) == 2
    assert int(((targets > 0.01) & (targets < 0.99)).any(1).sum()) > 60
    assert bool((targets[torch.arange(129), digits.train.labels[index]] > 0).float().mean() > 0.95)
    expected = float(torch.nn.functional.cross_entropy(logits, targets))
    assert result.curve[0]["terms"]["ce"] == pytest.approx(expected, rel=1e-5)
    assert result.curve[0]["loss"] == pytest.approx(1.5 * expected, rel=1e-5)


def test_a_losss_weight_counts_times_its_scale(digits: Dataset) -> None:
    def final(**loss: Any) -> dict[str, Any]:
        _, checkpoint = trained(context(digits), pipeline(losses={"ce": NotingLoss(**loss)}))
        return checkpoint["student"]

    assert_same(final(weight=3.0, scale=2.0), final(weight=6.0, scale=1.0))
    assert not torch.equal(final(weight=3.0, scale=2.0)["fc.weight"], final(weight=3.0, scale=1.0)["fc.weight"])


def test_share_of_training_and_learning_rate_by_epoch(digits: Dataset) -> None:
    loss, schedule = NotingLoss(), NotingSchedule(factor=lambda u: 1.0)
    trained(context(digits), pipeline(losses={"ce": loss}, schedule=schedule, batch_size=64), epochs=2)
    expected = [0, 43 / 258, 86 / 258, 129 / 258, 172 / 258, 215 / 258]
    assert [step.u for step in loss.steps] == pytest.approx(expected)
    assert schedule.asked == [step.u for step in loss.steps]
    cosine = pipeline(schedule=("cosine", {"warmup": 0.0, "final": 0.001}), batch_size=128)
    result, _ = trained(context(digits), cosine, epochs=2)
    # last steps at u = 65/258 and 194/258 of half a cosine from 0.1 to 0.0001
    assert [line["learning_rate"] for line in result.curve] == pytest.approx([0.0851543, 0.0145156], rel=1e-4)


def test_a_learning_rate_of_zero_trains_nothing(digits: Dataset) -> None:
    def off_at_first(u: float) -> float:
        return 0.0 if u < 0.5 else 1.0

    spec = pipeline(schedule=NotingSchedule(factor=off_at_first), optimizer=("adamw", {}))
    _, initial = trained(context(digits), spec, until=0)
    _, first = trained(context(digits), spec, until=1)
    _, second = trained(context(digits), spec, until=2)
    assert torch.equal(initial["student"]["fc.weight"], first["student"]["fc.weight"])
    assert not torch.equal(first["student"]["fc.weight"], second["student"]["fc.weight"])


def test_the_student_reloads_without_its_teacher(digits: Dataset) -> None:
    spec = PIPELINES["cnn, hint with its regressor"]
    result, checkpoint = trained(context(digits, teacher(digits.task)), spec)
    student = build_student(spec.student, digits.task)
    student.load_state_dict(through_a_file(checkpoint)["student"])
    where = context(digits)
    right = predict(student, where.validation_data).argmax(-1) == digits.validation.labels
    assert result.score == pytest.approx(float(right.double().mean()))


def test_training_learns(digits: Dataset) -> None:
    result, _ = trained(context(digits), pipeline(student=("cnn", {"layers": 2, "width": 8})), epochs=40)
    assert result.score > 0.8  # one in ten by chance
    assert result.curve[-1]["loss"] < result.curve[0]["loss"] / 2
    assert (result.seen, result.curve[-1]["score"], len(result.curve)) == (40 * 129, result.score, 40)


def test_each_epoch_is_told_as_it_ends(digits: Dataset) -> None:
    from autokd.engine.loop import train_rung

    told: list[Any] = []
    rung = Rung(seed=1, view_seed=1, horizon=3 * 129, until=2 * 129)
    result, _ = train_rung(context(digits), pipeline(), rung, on_epoch=told.append)
    assert [line["epoch"] for line in told] == [1, 2]
    assert tuple(told) == result.curve


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_divergence_is_a_failure_of_the_trial(digits: Dataset, optimizer: str) -> None:
    spec = pipeline(optimizer=(optimizer, {"learning_rate": 1e30}), schedule=("cosine", {"warmup": 0.0}))
    with pytest.raises(TrialFailure) as failure:
        trained(context(digits), spec, epochs=4)
    assert failure.value.kind == "not_finite"


def test_a_learning_rate_of_a_million_fails_a_table(cancer: Dataset) -> None:
    spec = table_pipeline(optimizer=("sgd", {"learning_rate": 1e6}), schedule=("cosine", {"warmup": 0.0}))
    with pytest.raises(TrialFailure, match=r"not_finite: the training loss became (nan|inf) in epoch \d"):
        trained(context(cancer), spec, epochs=6)


def test_the_callers_random_state_threads_and_defaults_stay(digits: Dataset) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  # the state that must stay as it is
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    settings = torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device()
    first, _ = trained(context(digits, teacher(digits.task)), PIPELINES["cnn, mixup, kd"])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_same(list(map(str, np.random.get_state())), list(map(str, before[1])))  # noqa: NPY002
    assert random.getstate() == before[2]
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device()) == settings
    torch.manual_seed(6)
    again, _ = trained(context(digits, teacher(digits.task)), PIPELINES["cnn, mixup, kd"])
    assert first.curve == again.curve


def test_the_callers_threads_come_back_after_a_failure(digits: Dataset) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        spec = pipeline(optimizer=("sgd", {"learning_rate": 1e30}), schedule=("cosine", {"warmup": 0.0}))
        with pytest.raises(TrialFailure):
            trained(context(digits), spec, epochs=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_loss_that_concerns_no_sample_has_no_gradient_and_fails_nothing(digits: Dataset) -> None:
    losses = {"ce": make("losses", "ce", {}), "idle": IdleLoss()}
    result, at_end = trained(context(digits), pipeline(losses=losses))
    alone, at_end_alone = trained(context(digits), pipeline())
    assert_same(at_end["student"], at_end_alone["student"])
    assert [line["terms"]["idle"] for line in result.curve] == [0.0, 0.0] and result.score == alone.score
    norms = result.curve[-1]["gradient_norms"]
    assert norms["idle"] == 0.0 < norms["ce"]


def test_a_batch_that_does_not_fit_is_cut_into_parts_that_add_up(cancer: Dataset) -> None:
    spec = table_pipeline(student=("mlp", {"depth": 2, "width": 8, "dropout": 0.0}), losses={"ce": NotingLoss()})
    tight = dataclasses.replace(spec, losses={"ce": FittingLoss(most=10)})
    whole, at_end = trained(context(cancer), spec)
    cut, at_end_too = trained(context(cancer), tight)
    assert [line["micro_batches"] for line in cut.curve] == [4, 4] and "micro_batches" not in whole.curve[0]
    assert [line["loss"] for line in cut.curve] == pytest.approx([line["loss"] for line in whole.curve], rel=1e-4)
    for name, value in at_end["student"].items():
        torch.testing.assert_close(at_end_too["student"][name], value, rtol=1e-3, atol=1e-4)


def test_a_sample_that_does_not_fit_is_out_of_memory(cancer: Dataset) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        trained(context(cancer), table_pipeline(losses={"ce": FittingLoss(most=0)}))


CURVE = """
import json
from tests.engine.helpers import context, pipeline, table_pipeline, teacher, trained
from tests.engine.test_train import PIPELINES
from autokd.data import DataOptions, load
data = {
    "image": load("digits", DataOptions(limit_train=129)),
    "table": load("breast_cancer", DataOptions(limit_train=96)),
}
curves = {}
for name, spec in PIPELINES.items():
    used = data["table" if name.startswith("mlp") else "image"]
    curves[name] = trained(context(used, teacher(used.task)), spec)[0].curve
print(json.dumps(curves))
"""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_curve_in_another_process(
    digits: Dataset, cancer: Dataset, tmp_path: Path
) -> None:
    theirs = json.loads(processes.run(CURVE, folder=tmp_path).said.splitlines()[-1])
    for name, spec in PIPELINES.items():
        data = cancer if name.startswith("mlp") else digits
        own = trained(context(data, teacher(data.task)), spec)[0].curve
        assert json.loads(json.dumps(own)) == theirs[name], name


def test_channels_last_students_are_on_the_device(digits: Dataset) -> None:
    student = build_student(make("students", "cnn", {}), digits.task, CPU)
    convolution = next(p for p in student.parameters() if p.ndim == 4 and min(p.shape) > 1)
    assert convolution.is_contiguous(memory_format=torch.channels_last)


def test_a_large_validation_split_is_looked_at_as_a_whole_at_the_end_of_a_run_alone(digits: Dataset) -> None:
    many = dataclasses.replace(digits, validation=digits.train, train=digits.validation)
    where, spec = context(many), pipeline()
    part = math.ceil(len(many.train) / 3)
    assert len(many.validation) > part == len(where.short_validation_data.labels)
    below, _ = trained(where, spec, epochs=2, until=1)
    end, _ = trained(where, spec, epochs=2)
    assert below.metrics["accuracy"] * part == pytest.approx(round(below.metrics["accuracy"] * part))
    whole = len(many.validation)
    assert end.metrics["accuracy"] * whole == pytest.approx(round(end.metrics["accuracy"] * whole))
    first = Split(single(digits.validation.inputs)[:40], digits.validation.labels[:40])
    few = context(dataclasses.replace(digits, validation=first))
    assert few.short_validation_data is few.validation_data
