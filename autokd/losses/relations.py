"""What the losses on relations between samples, positions or channels share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autokd.losses.common import precise, teacher_of, unit
from autokd.losses.pairing import offered
from autokd.types import BuildContext, Step, Term

ZERO = 1e-12
"""Length below which a vector counts as zero: it has no direction, and no gradient."""


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product in the precision of `a` and `b`, also under autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b


def cosines(rows: Tensor) -> Tensor:
    """Cosines of all pairs of rows, [..., B, D] -> [..., B, B]; a zero row has cosine 0 to all, also to itself."""
    directions = unit(rows, epsilon=ZERO)
    return matmul(directions, directions.mT)


def pooled_of(step: Step) -> tuple[Tensor, Tensor]:
    """Return student's and teacher's pooled embeddings of a step, [B, D], in float32 at least, the latter detached.

    Raises:
      ValueError: one of them has none.
    """
    student, teacher = step.student.pooled, teacher_of(step).pooled
    if student is None or teacher is None:
        who = "student" if student is None else "teacher"
        raise ValueError(f"this loss reads pooled embeddings, and the {who} answered without one")
    return precise(student), precise(teacher.detach())


def pooled_term(loss: Callable[[Tensor, Tensor], Tensor], context: BuildContext, name: str) -> Term:
    """Return a loss of (student, teacher) pooled embeddings as a term.

    Raises:
      ComponentError: a network offers no pooled embedding.
    """
    offered(context, name, "pooled")

    def term(step: Step) -> Tensor:
        return loss(*pooled_of(step))

    return term
