"""Which student stage learns from which teacher stage."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from autokd.errors import ComponentError
from autokd.losses.common import teacher_of
from autokd.types import BuildContext, Shapes, Step, Term

Shape = tuple[int, ...]
Pair = tuple[int, int]


class Match(NamedTuple):
    """A student stage and the teacher stage it learns from: their indices, and the shapes of one sample's features."""

    student: int
    teacher: int
    student_shape: Shape
    teacher_shape: Shape


def pairs(student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape], how: str) -> tuple[Pair, ...]:
    """Return pairs of (student stage, teacher stage), as indices, shallow to deep.

    Args:
      student_shapes, teacher_shapes: one shape a stage, shallow to deep, without the batch; at least one each.
      how: one of
        "last": the last of both;
        "middle": the middle of both (the shallower of two);
        "all": every student stage, with the teacher stage that ends at the same relative depth or just before
          (for transformers' layers the "skip" mapping of Distiller, He et al. 2021, arXiv 2109.11105);
        "skip": every other one of these pairs, evenly, counted back from the last;
        "size": the last student stage of each spatial size, with the last teacher stage of that size, or of the
          nearest by ratio where there is none (vectors have one size);
        or an explicit list such as "1-2,3-3": student-teacher, counted from 1.

    Raises:
      ComponentError: `how` is none of these, or names a stage that is not there.
    """
    rule = _RULES.get(how)
    return _listed(student_shapes, teacher_shapes, how) if rule is None else rule(student_shapes, teacher_shapes)


def offered(context: BuildContext, loss: str, *parts: str) -> tuple[Shapes, Shapes]:
    """Return what student and teacher offer.

    Args:
      context: of the build.
      loss: its name, for the message.
      parts: what both must offer: "features", "pooled", "tokens", "attention".

    Raises:
      ComponentError: one of them lacks one of the parts.
    """
    for who, shapes in (("student", context.student), ("teacher", context.teacher)):
        for part in parts:
            if shapes is None or not getattr(shapes, part):
                raise ComponentError(f"loss {loss!r} reads {part}, and the {who} offers none; use a loss on logits")
    assert context.student is not None and context.teacher is not None
    return context.student, context.teacher


def match(context: BuildContext, loss: str, stages: str, *, maps: bool = False) -> tuple[Match, ...]:
    """Return the pairs of stages of the networks' features.

    Args:
      context: of the build.
      loss: its name, for messages.
      stages: as `how` of `pairs`.
      maps: both sides of each pair must be maps (c, h, w).

    Raises:
      ComponentError: a network offers no features, `stages` does not fit them, or maps are asked for and not there.
    """
    student, teacher = (shapes.features for shapes in offered(context, loss, "features"))
    found = tuple(Match(i, j, student[i], teacher[j]) for i, j in pairs(student, teacher, stages))
    for pair in found:
        if maps and not len(pair.student_shape) == len(pair.teacher_shape) == 3:
            raise ComponentError(
                f"loss {loss!r} compares maps (c, h, w); the student's features have shape {pair.student_shape}, "
                f"the teacher's {pair.teacher_shape}; use a loss on pooled embeddings or logits"
            )
    return found


def same_rank(matches: tuple[Match, ...], loss: str) -> tuple[Match, ...]:
    """Return the matches.

    Raises:
      ComponentError: one of them is between maps and vectors.
    """
    for pair in matches:
        if len(pair.student_shape) != len(pair.teacher_shape):
            raise ComponentError(
                f"loss {loss!r} cannot match student features of shape {pair.student_shape} to the teacher's "
                f"{pair.teacher_shape}; both need to be maps (c, h, w) or both vectors (d,)"
            )
    return matches


def summed(loss: Callable[[Tensor, Tensor], Tensor], matches: tuple[Match, ...]) -> Term:
    """Return the sum of a loss of (student features, teacher features) over pairs of stages, as a term."""
    indices = tuple((pair.student, pair.teacher) for pair in matches)

    def term(step: Step) -> Tensor:
        student, teacher = step.student.features, teacher_of(step).features
        return torch.stack([loss(student[i], teacher[j]) for i, j in indices]).sum(0)

    return term


def _last(student: Sequence[Shape], teacher: Sequence[Shape]) -> tuple[Pair, ...]:
    return ((len(student) - 1, len(teacher) - 1),)


def _middle(student: Sequence[Shape], teacher: Sequence[Shape]) -> tuple[Pair, ...]:
    return (((len(student) - 1) // 2, (len(teacher) - 1) // 2),)


def _all(student: Sequence[Shape], teacher: Sequence[Shape]) -> tuple[Pair, ...]:
    count, others = len(student), len(teacher)
    return tuple((i, max((i + 1) * others // count - 1, 0)) for i in range(count))


def _skip(student: Sequence[Shape], teacher: Sequence[Shape]) -> tuple[Pair, ...]:
    return _all(student, teacher)[::-1][::2][::-1]


def _size(student: Sequence[Shape], teacher: Sequence[Shape]) -> tuple[Pair, ...]:
    last_of_size = {math.prod(shape[1:]): i for i, shape in enumerate(student)}
    sizes = [math.prod(shape[1:]) for shape in teacher]
    return tuple(
        (i, min(range(len(sizes)), key=lambda j: (abs(math.log(size / sizes[j])), -j)))
        for size, i in sorted(last_of_size.items(), key=lambda item: item[1])
    )


_RULES: dict[str, Callable[[Sequence[Shape], Sequence[Shape]], tuple[Pair, ...]]] = {
    "last": _last,
    "middle": _middle,
    "skip": _skip,
    "all": _all,
    "size": _size,
}


def _listed(student: Sequence[Shape], teacher: Sequence[Shape], how: str) -> tuple[Pair, ...]:
    """Pairs of an explicit list."""
    if not re.fullmatch(r"\d+-\d+(,\d+-\d+)*", how.replace(" ", "")):
        raise ComponentError(
            f"stages {how!r} are not known; use one of {', '.join(_RULES)}, or pairs of student and teacher stages "
            "counted from 1, such as '1-2,3-3'"
        )
    found = [tuple(int(number) - 1 for number in item.split("-")) for item in how.replace(" ", "").split(",")]
    for i, j in found:
        if not (0 <= i < len(student) and 0 <= j < len(teacher)):
            raise ComponentError(
                f"stages {how!r}: there is no pair {i + 1}-{j + 1}; the student has {len(student)} stages and the "
                f"teacher {len(teacher)}, counted from 1"
            )
    return tuple((i, j) for i, j in found)
