"""What every loss must do, run over all the losses there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog, spec
from autokd.errors import ComponentError
from autokd.losses.common import COSTS
from autokd.networks.models import seeded
from autokd.ranges import Choice
from autokd.types import ANY, BuildContext, Output, Shapes, Step, Task, Term

NAMES = catalog.names("losses")
CLASSES = 5
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")),
]
MAPS = Shapes(((4, 8, 8), (6, 4, 4), (7, 4, 4)), 7, ((5, 8), (5, 8)), ((2, 5, 4),) * 3)
WIDER_MAPS = Shapes(((5, 8, 8), (9, 2, 2)), 9, ((5, 12), (5, 12), (5, 12)), ((3, 5, 4),) * 3)
VECTORS = Shapes(((4,), (6,)), 6, MAPS.tokens, MAPS.attention)
WIDER_VECTORS = Shapes(((5,), (9,)), 9, WIDER_MAPS.tokens, WIDER_MAPS.attention)
KINDS = {"image": (MAPS, WIDER_MAPS), "table": (VECTORS, WIDER_VECTORS)}

CASES = [(name, kind) for name in NAMES for kind in KINDS if kind in catalog.load("losses", name).modalities]
NEEDS = {"features", "pooled", "tokens", "attention"}
SIGNED = {"mi_alpha", "vid"}
"""Losses that are a bound or a density, and so may be negative."""
NORMALISED = {"reviewkd"}
"""Losses whose chain of batch normalisations magnifies what hardly varies."""
NOISY = {"diffkd"}
"""Losses that draw noise, by position in the batch."""

Change = Callable[[Tensor], Tensor]


def context_of(student: Shapes, teacher: Shapes, modality: str = "image") -> BuildContext:
    task = Task(
        dataset="synthetic",
        modality=modality,
        input_shape=(3, 8, 8) if modality == "image" else (4,),
        classes=tuple("abcde"),
        train_size=100,
    )
    return BuildContext(task=task, student=student, teacher=teacher, horizon_steps=10)


def build(name: str, context: BuildContext, device: str = "cpu", **values: Any) -> Term:
    component = catalog.load("losses", name)(**values)
    prepare = getattr(component, "prepare", None)
    if prepare is not None:  # what it prepares from the teacher's outputs on the training set
        assert context.teacher is not None
        labels = torch.arange(context.task.train_size) % CLASSES
        outputs = output_of(Shapes(pooled=context.teacher.pooled), torch.Generator().manual_seed(1), len(labels))
        context = dataclasses.replace(context, artefact=prepare(outputs, labels))
    headed = any(other.startswith("heads.") for other in component.requires)
    width = context.teacher.features[-1][0] if headed and context.teacher and context.teacher.features else None
    if width and context.student and context.student.features:
        *stages, last = context.student.features
        context = dataclasses.replace(context, student=context.student._replace(features=(*stages, (width, *last[1:]))))
    with seeded(0):
        term: Term = component.build(context)
    if headed:
        return behind_head(term)
    return term.to(device) if isinstance(term, nn.Module) else term


def behind_head(term: Term) -> Term:
    """A loss that requires a head, on steps of students without it: channels are repeated to the teacher's number."""

    def loss(step: Step) -> Tensor:
        width = 0 if step.teacher is None else step.teacher.features[-1].shape[1]
        *stages, last = step.student.features
        projected = last[:, torch.arange(width) % last.shape[1]]
        return term(dataclasses.replace(step, student=step.student._replace(features=(*stages, projected))))

    return loss


def output_of(shapes: Shapes, generator: torch.Generator, batch: int) -> Output:
    def normal(*size: int) -> Tensor:
        return torch.randn(batch, *size, generator=generator)

    features = tuple(normal(*shape).relu() for shape in shapes.features)
    tokens, attention = (tuple(normal(*shape) for shape in group) for group in (shapes.tokens, shapes.attention))
    return Output(2 * normal(CLASSES), features, normal(shapes.pooled) if shapes.pooled else None, tokens, attention)


def step_of(student: Shapes = MAPS, teacher: Shapes = WIDER_MAPS, *, batch: int = 6, seed: int = 0) -> Step:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randn(batch, CLASSES, generator=generator).softmax(-1)
    own, answer = (output_of(shapes, generator, batch) for shapes in (student, teacher))
    return Step(own, answer, targets, torch.ones(batch), torch.arange(batch), u=0.5)


def changed(step: Step, change: Change, *, student: bool = True, teacher: bool = True, rest: bool = False) -> Step:
    """Apply a change to every tensor of the student's and teacher's outputs, or of all the step."""

    def of(output: Output) -> Output:
        return like(output, map(change, tensors(output)))

    assert step.teacher is not None
    result = dataclasses.replace(
        step,
        student=of(step.student) if student else step.student,
        teacher=of(step.teacher) if teacher else step.teacher,
    )
    if rest:
        targets, weight, index = (change(x) for x in (step.targets, step.weight, step.index))
        result = dataclasses.replace(result, targets=targets, weight=weight, index=index)
    return result


def tensors(output: Output | None) -> list[Tensor]:
    assert output is not None
    pooled = [] if output.pooled is None else [output.pooled]
    return [output.logits, *output.features, *pooled, *output.tokens, *output.attention]


def like(output: Output, values: Iterable[Tensor]) -> Output:
    """Return an output with the tensors that `tensors` lists replaced, in the same order."""
    rest = iter(values)
    logits = next(rest)
    features = tuple(next(rest) for _ in output.features)
    pooled = None if output.pooled is None else next(rest)
    tokens = tuple(next(rest) for _ in output.tokens)
    return Output(logits, features, pooled, tokens, tuple(rest))


def noted(term: Term, step: Step) -> Tensor:
    """The loss; one that draws noise draws the same each time."""
    with seeded(2):
        return term(step)


def only(what: Any, parts: Set[str]) -> Any:
    """An output, or shapes, without the parts that are not named."""
    return what._replace(**{part: None if part == "pooled" else () for part in NEEDS - parts})


def leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()


def assert_finite_with_gradient(term: Term, step: Step) -> None:
    step = changed(step, leaf)
    loss = term(step)
    assert loss.isfinite().all()
    loss.sum().backward()
    gradients = [x.grad for x in tensors(step.student) if x.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.fixture(autouse=True)
def _same_draws() -> Iterator[None]:
    """The same initial weights and noise in every run: a layer of one unit may be dead for some."""
    with seeded(1):
        yield


@pytest.mark.parametrize("name", NAMES)
def test_declares_what_it_is(name: str) -> None:
    cls = catalog.load("losses", name)
    assert [dataclasses.is_dataclass(cls), cls.__dataclass_params__.frozen] == [True, True]
    assert cls.modalities <= ANY
    assert cls.modalities
    assert cls.teacher in {"none", "stored", "live"}
    assert cls.needs <= NEEDS
    assert getattr(cls, "student_needs", frozenset()) <= NEEDS
    assert cls.needs <= {"pooled"} or cls.teacher == "live"
    assert not cls.needs or cls.teacher != "none"
    assert isinstance(cls.batch_statistic, bool)
    assert cls.min_classes >= 2
    assert isinstance(cls.scale, float)
    assert cls.scale > 0
    assert cls.cost in COSTS
    assert {"scale"} <= spec.comments_of(cls).keys()
    for other in cls.excludes | cls.requires:
        kind, _, component = other.rpartition(".")
        assert component in catalog.names(kind or "losses")
        assert other != name


@pytest.mark.parametrize("name", NAMES)
def test_exclusion_is_mutual(name: str) -> None:
    for other in catalog.load("losses", name).excludes:
        assert "." in other or name in catalog.load("losses", other).excludes


@pytest.mark.parametrize("name", NAMES)
def test_fields_have_a_default_inside_their_range_and_a_comment(name: str) -> None:
    fields = spec.fields_of(catalog.load("losses", name))
    assert fields["weight"].range is not None
    for field, info in fields.items():
        assert info.range is None or info.range.contains(info.default), field
        assert info.comment, field


@pytest.mark.parametrize("name", NAMES)
def test_reads_the_teacher_only_if_it_says_so(name: str) -> None:
    term = build(name, context_of(MAPS, WIDER_MAPS))
    blind = dataclasses.replace(step_of(), teacher=None)
    if catalog.load("losses", name).teacher == "none":
        assert term(blind).isfinite().all()
    else:
        with pytest.raises(ValueError, match="teacher"):
            term(blind)


@pytest.mark.parametrize(("name", "modality"), CASES)
def test_reads_what_it_declares_and_nothing_else(name: str, modality: str) -> None:
    cls, whole = catalog.load("losses", name), dict(zip(("student", "teacher"), KINDS[modality], strict=True))
    needs = {"student": getattr(cls, "student_needs", frozenset()), "teacher": cls.needs}
    step = step_of(*whole.values())
    bare = dataclasses.replace(step, **{who: only(getattr(step, who), needs[who]) for who in whole})
    shapes = {who: only(whole[who], needs[who]) for who in whole}
    assert build(name, context_of(**shapes, modality=modality))(bare).isfinite().all()
    for who in whole:
        for part in needs[who]:
            lacking = {**shapes, who: only(shapes[who], needs[who] - {part})}
            with pytest.raises(ComponentError, match=f"{name}.*{who}"):
                build(name, context_of(**lacking, modality=modality))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "modality"), CASES)
def test_one_loss_a_sample_unless_a_batch_statistic_and_finite(name: str, modality: str, device: str) -> None:
    student, teacher = KINDS[modality]
    step = changed(step_of(student, teacher), lambda x: x.to(device), rest=True)
    term = build(name, context_of(student, teacher, modality), device)
    loss = term(step)
    assert loss.shape == (() if catalog.load("losses", name).batch_statistic else (6,))
    assert loss.device.type == device
    assert (loss > 0).all() or name in SIGNED
    assert_finite_with_gradient(term, step)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOISY])
def test_permuting_the_batch_permutes_the_loss(name: str) -> None:
    context, order = context_of(MAPS, WIDER_MAPS), torch.tensor([3, 1, 5, 0, 2, 4])
    step = step_of()
    loss = build(name, context)(step)
    permuted = build(name, context)(changed(step, lambda x: x[order], rest=True))
    torch.testing.assert_close(permuted, loss if loss.ndim == 0 else loss[order])


@pytest.mark.parametrize("name", NAMES)
def test_finite_at_outputs_times_100(name: str) -> None:
    assert_finite_with_gradient(build(name, context_of(MAPS, WIDER_MAPS)), changed(step_of(), lambda x: 100 * x))


@pytest.mark.parametrize("name", NAMES)
def test_finite_at_a_logit_gap_of_1000(name: str) -> None:
    step = step_of()
    apart = torch.zeros(6, CLASSES)
    apart[:, 1] = 1000.0
    student, teacher = step.student._replace(logits=apart), step.student._replace(logits=apart.flip(-1))
    term = build(name, context_of(MAPS, MAPS))
    assert_finite_with_gradient(term, dataclasses.replace(step, student=student, teacher=teacher))
    assert_finite_with_gradient(term, dataclasses.replace(step, student=student, teacher=student))


@pytest.mark.parametrize("name", NAMES)
def test_finite_where_the_student_says_nothing(name: str) -> None:
    step = changed(step_of(), torch.zeros_like, teacher=False)
    term = build(name, context_of(MAPS, WIDER_MAPS))
    assert_finite_with_gradient(term, step)
    student = changed(step, leaf, teacher=False).student
    term(dataclasses.replace(step, student=student)).sum().backward()
    largest = 1e5 if name in NORMALISED else 100
    assert all(x.grad is None or x.grad.abs().max() < largest for x in tensors(student))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_inputs_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    context = context_of(MAPS, WIDER_MAPS)
    step = changed(step_of(), lambda x: x.to(dtype))
    loss = noted(build(name, context), step)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, noted(build(name, context), changed(step, Tensor.float)))
    assert_finite_with_gradient(build(name, context), step)


@pytest.mark.parametrize("name", [name for name in NAMES if catalog.load("losses", name).teacher != "none"])
def test_zero_and_stationary_where_the_student_equals_the_teacher(name: str) -> None:
    term = build(name, context_of(MAPS, MAPS))
    if not getattr(catalog.load("losses", name), "zero_at_teacher", not isinstance(term, nn.Module)):
        pytest.skip("its least value lies elsewhere, or a learned layer stands between student and teacher")
    step = step_of(MAPS, MAPS)
    student = changed(step, leaf).student
    loss = term(dataclasses.replace(step, student=student, teacher=step.student))
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-5, rtol=0)
    for x in tensors(student):
        assert x.grad is None or x.grad.abs().max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_reaches_the_teacher(name: str) -> None:
    step = changed(step_of(), leaf)
    build(name, context_of(MAPS, WIDER_MAPS))(step).sum().backward()
    assert all(x.grad is None for x in tensors(step.teacher))


@pytest.mark.parametrize(("name", "modality"), CASES)
def test_a_batch_of_one(name: str, modality: str) -> None:
    student, teacher = KINDS[modality]
    term = build(name, context_of(student, teacher, modality))
    assert_finite_with_gradient(term, step_of(student, teacher, batch=1))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_registered_and_learn(name: str) -> None:
    term = build(name, context_of(MAPS, WIDER_MAPS))
    if isinstance(term, nn.Module):
        term(step_of()).sum().backward()
        assert list(term.parameters())
        for key, parameter in term.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.abs().max() > 0, key
    else:  # a closure must not hide parameters from the optimizer
        cells = [cell.cell_contents for cell in term.__closure__ or ()]  # type: ignore[attr-defined]
        assert not any(isinstance(value, (nn.Module, Tensor)) for value in cells)


@pytest.mark.parametrize("name", NAMES)
def test_every_searched_field_matters(name: str) -> None:
    context, step = context_of(MAPS, WIDER_MAPS), dataclasses.replace(step_of(), u=0.05)

    def effect(**values: Any) -> list[Tensor]:
        """The loss, and what it does to the student's logits and to its own parameters."""
        term, student = build(name, context, **values), changed(step, leaf).student
        term(step)  # some settings are about what is remembered
        loss = term(dataclasses.replace(step, student=student))
        learned = list(term.parameters()) if isinstance(term, nn.Module) else []
        gradients = torch.autograd.grad(loss.sum(), [student.logits, *learned], allow_unused=True)
        return [loss.detach(), *(x for x in gradients if x is not None)]

    for field, info in spec.fields_of(catalog.load("losses", name)).items():
        if info.range is None or field == "weight":
            continue
        span = info.range
        values = span.options if isinstance(span, Choice) else (span.low, span.high)
        low, high = effect(**{field: values[0]}), effect(**{field: values[-1]})
        same = len(low) == len(high) and all(a.shape == b.shape for a, b in zip(low, high, strict=True))
        assert not (same and all(map(torch.allclose, low, high))), field


@pytest.mark.parametrize("name", NAMES)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    if getattr(catalog.load("losses", name), "partly_detached", False):
        pytest.skip("what it holds constant in its gradient depends on the student's output")
    small = Shapes(((2, 2, 2),), 2, ((3, 4), (3, 4)), ((1, 3, 2),) * 3)
    term = build(name, context_of(small, small))
    step = changed(step_of(small, small, batch=3), lambda x: x.double() + 0.05)  # off the kink of a ReLU at 0
    if isinstance(term, nn.Module):  # statistics and memories are filled, then stand still
        term = term.double()
        term(step)
        term.eval()

    def loss(*student: Tensor) -> Tensor:
        return noted(term, dataclasses.replace(step, student=like(step.student, student)))

    assert torch.autograd.gradcheck(loss, tuple(map(leaf, tensors(step.student))))
