"""Made-up outputs of networks and steps of training for the suite of the losses.

Shapes: B samples, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import Tensor, nn

from autokd.types import BuildContext, Output, PrepareContext, Shapes, Step, Task, Term

CLASSES = 5
PARTS = frozenset({"features", "pooled", "tokens", "attention"})

MAPS = Shapes(((4, 8, 8), (6, 4, 4), (7, 4, 4)), 7, ((5, 8), (5, 8)), ((2, 5, 4),) * 3)
WIDER_MAPS = Shapes(((5, 8, 8), (9, 2, 2)), 9, ((5, 12), (5, 12), (5, 12)), ((3, 5, 4),) * 3)
VECTORS = Shapes(((4,), (6,)), 6, MAPS.tokens, MAPS.attention)
WIDER_VECTORS = Shapes(((5,), (9,)), 9, WIDER_MAPS.tokens, WIDER_MAPS.attention)
PAIRS = {"image": (MAPS, WIDER_MAPS), "table": (VECTORS, WIDER_VECTORS)}
"""What a student and a teacher offer, by kind of input."""

Change = Callable[[Tensor], Tensor]


def context_of(task: Task, student: Shapes, teacher: Shapes) -> BuildContext:
    """Return what a loss is built with on a student and a teacher."""
    return BuildContext(task=task, student=student, teacher=teacher, horizon_steps=10)


def prepared(component: Any, context: BuildContext) -> BuildContext:
    """Return what a component is built with; what it prepares is made of random answers."""
    if component.declares.prepared_from is None:
        return context
    size, pooled = context.task.train_size, None if context.teacher is None else context.teacher.pooled
    outputs = output_of(Shapes(pooled=pooled), torch.Generator().manual_seed(1), size)

    def reference(rows: Tensor, seed: int) -> Tensor:
        return torch.randn(size, CLASSES, generator=torch.Generator().manual_seed(seed % 1000))

    labels = torch.arange(size) % (CLASSES + 1) % CLASSES  # the first class twice as often
    made = component.prepare(PrepareContext(task=context.task, labels=labels, teacher=outputs, reference=reference))
    return dataclasses.replace(context, artefact=made)


def output_of(shapes: Shapes, generator: torch.Generator, batch: int) -> Output:
    """Return a random output of a network that offers these shapes; features are not negative."""

    def normal(*size: int) -> Tensor:
        return torch.randn(batch, *size, generator=generator)

    features = tuple(normal(*shape).relu() for shape in shapes.features)
    tokens, attention = (tuple(normal(*shape) for shape in group) for group in (shapes.tokens, shapes.attention))
    return Output(2 * normal(CLASSES), features, normal(shapes.pooled) if shapes.pooled else None, tokens, attention)


def step_of(student: Shapes = MAPS, teacher: Shapes = WIDER_MAPS, *, batch: int = 6, seed: int = 0) -> Step:
    """Return a step of training in its middle, with random outputs and soft labels."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randn(batch, CLASSES, generator=generator).softmax(-1)
    outputs = [output_of(shapes, generator, batch) for shapes in (student, teacher)]
    return Step(outputs[0], outputs[1], targets, torch.ones(batch), torch.arange(batch), u=0.5)


def with_members(step: Step, count: int = 3) -> Step:
    """Return the step where the teacher is an ensemble: its output is the first member's, the others' differ."""
    if step.teacher is None:
        return step

    def turned(by: int) -> Change:
        return lambda x: x.roll(by, -1) if x.is_floating_point() else x

    return dataclasses.replace(step, teacher=None, members=tuple(step.teacher.map(turned(by)) for by in range(count)))


def on_members(term: Term) -> Term:
    """Return a loss that reads the members of an ensemble, on steps of a single teacher."""
    if isinstance(term, nn.Module):
        term.register_forward_pre_hook(lambda _, steps: (with_members(*steps),))
        return term
    return lambda step: term(with_members(step))


def changed(step: Step, change: Change, *, student: bool = True, teacher: bool = True, rest: bool = False) -> Step:
    """Apply a change to every tensor of the student's and teacher's outputs, or of all the step."""

    assert step.teacher is not None
    result = dataclasses.replace(
        step,
        student=step.student.map(change) if student else step.student,
        teacher=step.teacher.map(change) if teacher else step.teacher,
    )
    if rest:
        fields: dict[str, Any] = {name: change(getattr(step, name)) for name in ("targets", "weight", "index")}
        result = dataclasses.replace(result, **fields)
    return result


def filled_up(step: Step, by: int) -> Step:
    """Return the step with random tokens behind those of each sample, and masks that say that they do not count."""
    assert step.teacher is not None
    return dataclasses.replace(step, student=_filled_up(step.student, by), teacher=_filled_up(step.teacher, by))


def _filled_up(output: Output, by: int) -> Output:
    generator = torch.Generator().manual_seed(4)

    def more(x: Tensor) -> Tensor:
        return torch.cat([x, torch.randn(*x.shape[:-2], by, x.shape[-1], generator=generator, dtype=x.dtype)], -2)

    mask = torch.arange(output.tokens[0].shape[1] + by) < output.tokens[0].shape[1]
    tokens, attention = (tuple(map(more, group)) for group in (output.tokens, output.attention))
    return output._replace(tokens=tokens, attention=attention, mask=mask.expand(len(output.logits), -1))


def tensors(output: Output | None) -> list[Tensor]:
    """Return the tensors of an output, logits first."""
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


def only(what: Any, parts: AbstractSet[str]) -> Any:
    """Return an output, or shapes, without the parts that are not named."""
    return what._replace(**{part: None if part == "pooled" else () for part in PARTS - parts})


def leaf(x: Tensor) -> Tensor:
    """Return a copy that collects a gradient."""
    return x.detach().clone().requires_grad_()
