"""What every loss must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog, spec
from autokd.errors import ComponentError
from autokd.networks.models import seeded
from autokd.ranges import Choice
from autokd.seeds import seed_torch
from autokd.testing.made_up import (
    CLASSES,
    MAPS,
    PAIRS,
    WIDER_MAPS,
    changed,
    context_of,
    filled_up,
    leaf,
    like,
    on_members,
    only,
    prepared,
    step_of,
    tensors,
)
from autokd.testing.suite import Suite, task_of
from autokd.types import BuildContext, Shapes, Step, Task, Term

IMAGES, TABLE = task_of((3, 8, 8)), task_of((4,))
CONTEXT = context_of(IMAGES, MAPS, WIDER_MAPS)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")),
]


class LossSuite(Suite):
    """What every loss must do.

    Some losses cannot do all of it, by their nature; they are named here.

    Args:
      may_be_negative: bounds and densities.
      magnifies: chains of batch normalisations that magnify what hardly varies.
      draws_noise: those that draw noise, by position in the batch.
      partly_detached: those that hold constant in the gradient something that depends on the student's output.
      zero_at_teacher: those with learned layers that are zero where student and teacher agree all the same.
      least_elsewhere: those without learned layers whose least value lies elsewhere.
    """

    kind = "losses"
    tasks = (IMAGES, TABLE)

    may_be_negative: ClassVar[AbstractSet[str]] = frozenset()
    magnifies: ClassVar[AbstractSet[str]] = frozenset()
    draws_noise: ClassVar[AbstractSet[str]] = frozenset()
    partly_detached: ClassVar[AbstractSet[str]] = frozenset()
    zero_at_teacher: ClassVar[AbstractSet[str]] = frozenset()
    least_elsewhere: ClassVar[AbstractSet[str]] = frozenset()

    @pytest.fixture(autouse=True)
    def _same_draws(self) -> Iterator[None]:
        """The same initial weights and noise in every run: a layer of one unit may be dead for some."""
        with seeded(1):
            yield

    def test_declares_what_can_be(self, component: Any) -> None:
        declares = component.declares
        assert declares.reads <= {"pooled"} or declares.teacher == "live"
        assert not declares.reads or declares.teacher != "none"
        assert callable(getattr(component, "prepare", None)) == (declares.prepared_from is not None)
        assert spec.fields_of(component)["weight"].range is not None

    def test_reads_the_teacher_only_if_it_says_so(self, component: Any) -> None:
        term = build(component, CONTEXT)
        blind = dataclasses.replace(step_of(), teacher=None)
        if component.declares.teacher == "none":
            assert term(blind).isfinite().all()
        else:
            with pytest.raises(ValueError, match="teacher"):
                term(blind)

    def test_reads_what_it_declares_and_nothing_else(self, component: Any, task: Task) -> None:
        whole = dict(zip(("student", "teacher"), PAIRS[task.modality], strict=True))
        reads = {"student": component.declares.student_reads, "teacher": component.declares.reads}
        step = step_of(*whole.values())
        bare: Any = {who: only(getattr(step, who), reads[who]) for who in whole}
        shapes: Any = {who: only(whole[who], reads[who]) for who in whole}
        term = build(component, context_of(task, **shapes))
        assert term(dataclasses.replace(step, **bare)).isfinite().all()
        for who in whole:
            for part in reads[who]:
                lacking = {**shapes, who: only(shapes[who], reads[who] - {part})}
                with pytest.raises(ComponentError, match=f"{catalog.name_of(component)}.*{who}"):
                    build(component, context_of(task, **lacking))

    def test_reads_labels_only_if_it_says_so(self, component: Any) -> None:
        step = step_of()
        others = dataclasses.replace(step, targets=torch.eye(CLASSES)[torch.zeros(6, dtype=torch.int64)])
        found = []
        for each in (step, others):
            term = build(component, CONTEXT)
            seed_torch(0)  # for losses that draw noise
            found.append(term(each))
        assert torch.equal(*found) == (not component.declares.reads_labels), "declare reads_labels"

    @pytest.mark.parametrize("device", DEVICES)
    def test_one_loss_a_sample_unless_a_batch_statistic_and_finite(
        self, component: Any, task: Task, device: str
    ) -> None:
        student, teacher = PAIRS[task.modality]
        step = changed(step_of(student, teacher), lambda x: x.to(device), rest=True)
        term = build(component, context_of(task, student, teacher), device)
        loss = term(step)
        assert loss.shape == (() if component.declares.batch_statistic else (6,))
        assert loss.device.type == device
        assert (loss > 0).all() or catalog.name_of(component) in self.may_be_negative
        assert_finite_with_gradient(term, step)

    def test_tokens_that_only_fill_up_a_sample_do_not_count(self, component: Any) -> None:
        term, step = build(component, CONTEXT), changed(step_of(), Tensor.double)
        term = term.double() if isinstance(term, nn.Module) else term
        before = noted(term, step)
        term = build(component, CONTEXT)  # one that remembers has seen nothing yet
        term = term.double() if isinstance(term, nn.Module) else term
        torch.testing.assert_close(noted(term, filled_up(step, 3)), before, rtol=0, atol=1e-12)

    def test_permuting_the_batch_permutes_the_loss(self, component: Any) -> None:
        if catalog.name_of(component) in self.draws_noise:
            pytest.skip("it draws noise, by position in the batch")
        order, step = torch.tensor([3, 1, 5, 0, 2, 4]), step_of()
        loss = build(component, CONTEXT)(step)
        permuted = build(component, CONTEXT)(changed(step, lambda x: x[order], rest=True))
        torch.testing.assert_close(permuted, loss if loss.ndim == 0 else loss[order])

    def test_finite_at_outputs_times_100(self, component: Any) -> None:
        assert_finite_with_gradient(build(component, CONTEXT), changed(step_of(), lambda x: 100 * x))

    def test_finite_at_a_logit_gap_of_1000(self, component: Any) -> None:
        step = step_of()
        apart = torch.zeros(6, CLASSES)
        apart[:, 1] = 1000.0
        student, teacher = step.student._replace(logits=apart), step.student._replace(logits=apart.flip(-1))
        term = build(component, context_of(IMAGES, MAPS, MAPS))
        assert_finite_with_gradient(term, dataclasses.replace(step, student=student, teacher=teacher))
        assert_finite_with_gradient(term, dataclasses.replace(step, student=student, teacher=student))

    def test_finite_where_the_student_says_nothing(self, component: Any) -> None:
        step = changed(step_of(), torch.zeros_like, teacher=False)
        term = build(component, CONTEXT)
        assert_finite_with_gradient(term, step)
        student = changed(step, leaf, teacher=False).student
        torch.autograd.backward(term(dataclasses.replace(step, student=student)).sum())
        largest = 1e5 if catalog.name_of(component) in self.magnifies else 100
        assert all(x.grad is None or x.grad.abs().max() < largest for x in tensors(student))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_inputs_are_computed_in_float32(self, component: Any, dtype: torch.dtype) -> None:
        step = changed(step_of(), lambda x: x.to(dtype))
        loss = noted(build(component, CONTEXT), step)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, noted(build(component, CONTEXT), changed(step, Tensor.float)))
        assert_finite_with_gradient(build(component, CONTEXT), step)

    def test_zero_and_stationary_where_the_student_equals_the_teacher(self, component: Any) -> None:
        term, name = build(component, context_of(IMAGES, MAPS, MAPS)), catalog.name_of(component)
        learned = isinstance(term, nn.Module) and name not in self.zero_at_teacher
        if component.declares.teacher == "none" or learned or name in self.least_elsewhere:
            pytest.skip("no teacher is read, its least value lies elsewhere, or a learned layer stands between")
        step = step_of(MAPS, MAPS)
        student = changed(step, leaf).student
        loss = term(dataclasses.replace(step, student=student, teacher=step.student))
        torch.autograd.backward(loss.sum())
        torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-5, rtol=0)
        for x in tensors(student):
            assert x.grad is None or x.grad.abs().max() < 1e-5

    def test_no_gradient_reaches_the_teacher(self, component: Any) -> None:
        step = changed(step_of(), leaf)
        torch.autograd.backward(build(component, CONTEXT)(step).sum())
        assert all(x.grad is None for x in tensors(step.teacher))

    def test_a_batch_of_one(self, component: Any, task: Task) -> None:
        student, teacher = PAIRS[task.modality]
        term = build(component, context_of(task, student, teacher))
        assert_finite_with_gradient(term, step_of(student, teacher, batch=1))

    def test_parameters_are_registered_and_learn(self, component: Any) -> None:
        term = build(component, CONTEXT)
        if isinstance(term, nn.Module):
            assert [*term.parameters(), *term.buffers()], "a function will do"
            if list(term.parameters()):
                torch.autograd.backward(term(step_of()).sum())
            for key, parameter in term.named_parameters():
                assert parameter.grad is not None, key
                assert parameter.grad.abs().max() > 0, key
        else:  # a closure must not hide parameters from the optimizer
            cells = [cell.cell_contents for cell in getattr(term, "__closure__", None) or ()]
            assert not any(isinstance(value, (nn.Module, Tensor)) for value in cells)

    def test_every_searched_field_matters(self, component: Any) -> None:
        step = dataclasses.replace(step_of(), u=0.05)
        for field, info in spec.fields_of(component).items():
            if info.range is None or field == "weight":
                continue
            span = info.range
            values = span.options if isinstance(span, Choice) else (span.low, span.high)
            low, high = (effect(component, step, {field: value}) for value in (values[0], values[-1]))
            same = len(low) == len(high) and all(a.shape == b.shape for a, b in zip(low, high, strict=True))
            assert not (same and all(map(torch.allclose, low, high))), field

    def test_gradient_agrees_with_finite_differences(self, component: Any) -> None:
        if catalog.name_of(component) in self.partly_detached:
            pytest.skip("what it holds constant in its gradient depends on the student's output")
        small = Shapes(((2, 2, 2),), 2, ((3, 4), (3, 4)), ((1, 3, 2),) * 3)
        term = build(component, context_of(IMAGES, small, small))
        step = changed(step_of(small, small, batch=3), lambda x: x.double() + 0.05)  # off the kink of a ReLU at 0
        if isinstance(term, nn.Module):  # statistics and memories are filled, then stand still
            term = term.double()
            term(step)
            term.eval()

        def loss(*student: Tensor) -> Tensor:
            return noted(term, dataclasses.replace(step, student=like(step.student, student)))

        assert torch.autograd.gradcheck(loss, tuple(map(leaf, tensors(step.student))))


def build(component: type[Any], context: BuildContext, device: str = "cpu", **values: Any) -> Term:
    """Return a loss ready to train with; what it prepares is made of random answers."""
    loss = component(**values)
    headed = any(other.startswith("head.") for other in loss.declares.requires)
    context = prepared(loss, context)
    context = _projected(context) if headed else context
    with seeded(0):
        term: Term = loss.build(context)
    term = on_members(term) if loss.declares.members else term
    if headed:
        return _behind_head(term)
    return term.to(device) if isinstance(term, nn.Module) else term


def _projected(context: BuildContext) -> BuildContext:
    """What a student offers behind a head: its last feature has as many channels as the teacher's."""
    student, teacher = context.student, context.teacher
    if student is None or teacher is None or not student.features or not teacher.features:
        return context
    *stages, last = student.features
    features = (*stages, (teacher.features[-1][0], *last[1:]))
    return dataclasses.replace(context, student=student._replace(features=features))


def _behind_head(term: Term) -> Term:
    """A loss that requires a head, on steps of students without it: channels are repeated to the teacher's number."""

    def loss(step: Step) -> Tensor:
        width = 0 if step.teacher is None else step.teacher.features[-1].shape[1]
        *stages, last = step.student.features
        projected = last[:, torch.arange(width) % last.shape[1]]
        return term(dataclasses.replace(step, student=step.student._replace(features=(*stages, projected))))

    return loss


def effect(component: type[Any], step: Step, values: dict[str, Any]) -> list[Tensor]:
    """Return the loss, and what it does to the student's logits and to its own parameters."""
    term, student = build(component, CONTEXT, **values), changed(step, leaf).student
    term(step)  # some settings are about what is remembered
    loss = term(dataclasses.replace(step, student=student))
    learned = list(term.parameters()) if isinstance(term, nn.Module) else []
    gradients = torch.autograd.grad(loss.sum(), [student.logits, *learned], allow_unused=True)
    return [loss.detach(), *(x for x in gradients if x is not None)]


def noted(term: Term, step: Step) -> Tensor:
    """Return the loss; one that draws noise draws the same each time."""
    with seeded(2):
        return term(step)


def assert_finite_with_gradient(term: Term, step: Step) -> None:
    """Assert that a loss is finite and that a finite gradient reaches the student."""
    step = changed(step, leaf)
    loss = term(step)
    assert loss.isfinite().all()
    torch.autograd.backward(loss.sum())
    gradients = [x.grad for x in tensors(step.student) if x.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
