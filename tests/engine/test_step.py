"""One optimisation step: cut batches, gradient clipping, gradient norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd.batching import single
from autokd.data import Dataset
from autokd.declarations import Student
from autokd.engine.build import MAX_NORM, build_run
from autokd.engine.epoch import Passes
from autokd.engine.profile import OFF
from autokd.engine.step import LiveRun, gradient_norms, train_step
from autokd.engine.trained import STUDENT, TrainedNetwork, WeightedTerm
from autokd.networks.models import seeded
from autokd.spec import TEACHER, make
from autokd.types import IMAGE, TABLE, Augment, Batch, BuildContext, Output, Selection, Step
from tests.engine.helpers import assert_same, context, pipeline, teacher, trained

CE, KD = make("losses", "ce", {}), make("losses", "kd", {})


class Flat(nn.Module):
    """Two layers without batch norm, on a device that holds `most` samples in training."""

    def __init__(self, inputs: int, classes: int, most: int, sizes: list[int]) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, 12)
        self.head = nn.Linear(12, classes)
        self.most = most
        self.sizes = sizes

    def forward(self, x: Tensor) -> Output:
        if self.training and not x.is_meta:
            self.sizes.append(len(x))
            if len(x) > self.most:
                raise torch.OutOfMemoryError(f"tried to hold {len(x)} samples")
        pooled = self.hidden(x.flatten(1)).tanh()
        return Output(self.head(pooled), (), pooled)


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """A student that fits only where a batch has at most `most` samples."""

    declares = Student(name="t_narrow", modalities=IMAGE | TABLE)

    most: int = 10**9
    sizes: list[int] = field(default_factory=list, compare=False)

    def build(self, context: BuildContext) -> nn.Module:
        return Flat(math.prod(context.task.input_shape), context.task.num_classes, self.most, self.sizes)


def run(terms: dict[str, Any], student: nn.Module, *, max_norm: float | None = None, rate: float = 0.0) -> LiveRun:
    """A run by hand: SGD at a constant rate, float32."""
    weighted = {name: WeightedTerm(term, weight, TEACHER) for name, (term, weight) in terms.items()}
    modules = nn.ModuleDict({name: term for name, (term, _) in terms.items() if isinstance(term, nn.Module)})
    trained_network = TrainedNetwork(
        network=student,
        terms=weighted,
        term_modules=modules,
        optimizer=torch.optim.SGD([*student.parameters(), *modules.parameters()], lr=rate),
        peak_rates=(rate,),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        dtype=torch.float32,
        max_norm=max_norm,
    )
    augment = Augment(lambda generator, n, u: {}, lambda view, rows, partner, partner_rows: view)
    return LiveRun({STUDENT: trained_network}, lambda u: 1.0, augment, Selection(1), Passes(1, 1, 1))


def batch(samples: int = 40, *, weights: bool = True) -> tuple[Batch, dict[str, Output]]:
    """A batch of made-up samples with weights of their own, and a teacher's answer."""
    generator = torch.Generator().manual_seed(4)
    targets = torch.randn(samples, 5, generator=generator).softmax(-1)
    weight = torch.rand(samples, generator=generator) + 0.1 if weights else torch.ones(samples)
    inputs = torch.randn(samples, 7, generator=generator)
    answer = Output(2 * torch.randn(samples, 5, generator=generator), (), torch.randn(samples, 3, generator=generator))
    return Batch(inputs, targets, weight, torch.arange(samples)), {TEACHER: answer}


def network(most: int = 10**9) -> Flat:
    with seeded(6):
        return Flat(7, 5, most, [])


def ce(step: Step) -> Tensor:
    return -(step.targets * step.student.logits.log_softmax(-1)).sum(-1)


def mimic(step: Step) -> Tensor:
    assert step.teacher is not None
    return (step.student.logits - step.teacher.logits).square().mean(-1)


TERMS: dict[str, tuple[Callable[[Step], Tensor], float]] = {"ce": (ce, 0.5), "mimic": (mimic, 3.0)}


def gradients(student: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in student.named_parameters() if p.grad is not None}


# ---- batches that do not fit


@pytest.mark.parametrize(("most", "parts"), [(25, 2), (16, 4), (3, 16), (1, 64)])
def test_the_parts_of_a_batch_add_up_to_the_whole(most: int, parts: int) -> None:
    samples, answer = batch()
    whole, cut = run(TERMS, network()), run(TERMS, network(most))
    values = train_step(whole, samples, answer, 0.0, OFF)
    cut_values = train_step(cut, samples, answer, 0.0, OFF)
    assert (whole.micro_batches, cut.micro_batches) == (1, parts)
    torch.testing.assert_close(cut_values, values, rtol=1e-6, atol=1e-6)
    assert len(gradients(cut.student.network)) == 4
    for name, gradient in gradients(whole.student.network).items():
        torch.testing.assert_close(gradients(cut.student.network)[name], gradient, rtol=1e-6, atol=1e-6)


def test_parts_are_near_equal_and_the_next_batch_is_cut_at_once() -> None:
    samples, answer = batch()
    student = network(16)
    cut = run(TERMS, student)
    train_step(cut, samples, answer, 0.0, OFF)
    assert student.sizes == [40, 20, 10, 10, 10, 10]
    student.sizes.clear()
    train_step(cut, *batch(30), 0.0, OFF)
    assert student.sizes == [8, 8, 7, 7]


def test_a_batch_of_single_samples_that_fails_raises() -> None:
    student = network(0)
    with pytest.raises(torch.OutOfMemoryError, match="tried to hold 1 samples"):
        train_step(run(TERMS, student), *batch(5), 0.0, OFF)
    assert student.sizes == [5, 3, 2, 1]


def test_the_first_steps_of_a_cut_run_are_those_of_a_whole_one(digits: Dataset) -> None:
    where = context(digits, teacher(digits.task))
    losses = {"ce": CE, "kd": KD}
    narrow = Narrow(most=16)
    whole, at_end = trained(where, pipeline(student=Narrow(), losses=losses), epochs=1)
    cut, at_end_too = trained(where, pipeline(student=narrow, losses=losses), epochs=1)
    assert [line.get("micro_batches") for line in (*whole.curve, *cut.curve)] == [None, 2]
    assert narrow.sizes[:3] == [26, 13, 13] and max(narrow.sizes[1:]) <= 16  # gradient norms fit, too
    for name, value in at_end["student"].items():
        torch.testing.assert_close(at_end_too["student"][name], value, rtol=1e-4, atol=1e-5)
    assert cut.curve[0]["loss"] == pytest.approx(whole.curve[0]["loss"], rel=1e-5)
    assert set(cut.curve[0]["gradient_norms"]) == {"ce", "kd"}


# ---- clipping


def test_a_long_gradient_is_cut_to_its_norm_and_a_short_one_is_not() -> None:
    samples, answer = batch()

    def moved(scale: float, max_norm: float | None) -> tuple[float, Tensor]:
        made = run({"mimic": (mimic, scale)}, network(), max_norm=max_norm, rate=1.0)
        before = nn.utils.parameters_to_vector(made.student.network.parameters()).detach()
        train_step(made, samples, answer, 0.0, OFF)
        change = nn.utils.parameters_to_vector(made.student.network.parameters()).detach() - before
        return float(change.norm()), change

    (short, same), (free, direction), (cut, cut_direction) = moved(0.01, 5.0), moved(100.0, None), moved(100.0, 5.0)
    assert short < 5 < free
    assert torch.equal(same, moved(0.01, None)[1])
    assert cut == pytest.approx(5.0, rel=1e-4)
    assert float(nn.functional.cosine_similarity(direction, cut_direction, dim=0)) > 0.99999


def test_gradients_are_cut_only_where_a_loss_reads_the_teacher_or_inside_the_student(digits: Dataset) -> None:
    def max_norm(**losses: Any) -> float | None:
        with seeded(1):
            return build_run(context(digits, teacher(digits.task)), pipeline(losses=losses), 129).student.max_norm

    assert max_norm(ce=CE) is None and max_norm(ce=CE, kd=KD) == 5.0
    assert max_norm(ce=CE, hint=make("losses", "hint", {})) == max_norm(ce=CE, rkd=make("losses", "rkd", {})) == 5.0
    assert MAX_NORM == 5.0


# ---- gradient norms


def test_gradient_norms_are_those_of_each_weighted_term_on_a_part_of_the_batch() -> None:
    samples, answered = batch(50)
    answer = answered[TEACHER]
    made = run(TERMS, network())
    norms = gradient_norms(made, samples, answered, 0.0)
    student, few = network(), slice(0, 32)
    assert answer.pooled is not None
    step = Step(
        student(single(samples.inputs)[few]),
        Output(answer.logits[few], (), answer.pooled[few]),
        samples.targets[few],
        samples.weight[few],
        samples.index[few],
        0.0,
    )
    for name, (term, weight) in TERMS.items():
        student.zero_grad()
        mean = (term(step) * step.weight).sum() / step.weight.sum()
        (weight * mean).backward(retain_graph=True)
        expected = math.sqrt(sum(float(grad.double().square().sum()) for grad in gradients(student).values()))
        assert norms[name] == pytest.approx(expected, rel=1e-5)


def test_gradient_norms_move_nothing(digits: Dataset) -> None:
    hint = {"ce": CE, "hint": make("losses", "hint", {})}
    frozen = teacher(digits.task)
    with seeded(2):
        made = build_run(context(digits, frozen), pipeline(losses=hint), 129)
        student = made.student
        before = {
            n: v.clone() for n, v in [*student.network.state_dict().items(), *student.term_modules.state_dict().items()]
        }
        images = torch.randn(40, 1, 8, 8)
        samples = Batch(images, torch.eye(10)[torch.arange(40) % 10], torch.ones(40), torch.arange(40))
        norms = gradient_norms(made, samples, {TEACHER: frozen.predict(images)}, 0.0)
    after = {**student.network.state_dict(), **student.term_modules.state_dict()}
    assert_same({name: after[name] for name in before}, before)
    assert any("running_mean" in name for name in before)
    assert norms["ce"] > 0 and norms["hint"] > 0
    assert all(p.grad is None for p in student.network.parameters())


def test_a_term_that_does_not_depend_on_the_student_has_norm_zero(digits: Dataset) -> None:
    def constant(step: Step) -> Tensor:
        return step.weight.new_zeros(len(step.weight))

    made = run({"ce": (ce, 1.0), "constant": (constant, 1.0)}, network())
    assert gradient_norms(made, *batch(), 0.0)["constant"] == 0.0


def test_gradient_norms_stand_in_the_last_line_of_a_rung_with_several_losses(digits: Dataset) -> None:
    where = context(digits, teacher(digits.task))
    several, _ = trained(where, pipeline(losses={"ce": CE, "kd": KD}), epochs=3)
    assert ["gradient_norms" in line for line in several.curve] == [False, False, True]
    assert list(several.curve[-1]["gradient_norms"]) == ["ce", "kd"]
    alone, _ = trained(where, pipeline(), epochs=2)
    assert not any("gradient_norms" in line for line in alone.curve)


def test_gradient_norms_change_nothing_of_the_training(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    where = context(digits, teacher(digits.task))
    spec = pipeline(losses={"ce": CE, "kd": KD})
    _, with_norms = trained(where, spec)
    monkeypatch.setattr("autokd.engine.loop.gradient_norms", lambda *arguments: {})
    assert_same(trained(where, spec)[1], with_norms)
