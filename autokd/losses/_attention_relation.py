"""Self-attention relations of queries, keys and values (MiniLMv2, Wang et al., Findings of ACL 2021, arXiv 2012.15828).

As AutoDistil (Xu et al., NeurIPS 2022, arXiv 2201.12507) takes it to students of any width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses.common import masked_mean, precise, real_tokens, teacher_of
from autokd.losses.pairing import offered
from autokd.losses.relations import matmul
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term


def attention_relation(
    student_states: Tensor,
    teacher_states: Tensor,
    mask: Tensor | None = None,
    *,
    heads: int | None = None,
    form: str = "kl",
) -> Tensor:
    """Difference of the two networks' relations between tokens, for one of queries, keys and values.

    The heads' states are joined and split anew into relation heads, the same number for both networks, so numbers and
    widths of heads may differ; what does not divide evenly is cut off at the end. A relation is the matrix of inner
    products of tokens over the square root of the relation head's width.

    Args:
      student_states: [B, heads, N, d].
      teacher_states: [B, heads', N, d'], as many tokens; no gradient reaches it.
      mask: [B, N] bool, false at tokens that only fill up a sample: they relate to nothing; None: all are real.
      heads: number of relation heads; None for the teacher's heads.
      form: "kl", the divergence of the relations' softmax over tokens, in nats; "mse", the mean squared difference of
        the raw relations.
    Returns:
      [B], the mean over relation heads and tokens; 0 where the relations agree (for "kl", up to a constant a row).
    Source: Wang et al. 2021 ("kl"); AutoDistil's released code ("mse").
    """
    heads = heads or teacher_states.shape[1]
    student = _relations(precise(student_states), heads)
    teacher = _relations(precise(teacher_states.detach()), heads)
    if mask is not None:
        return _masked(student, teacher, mask, form)
    if form == "mse":
        return (student - teacher).square().mean((1, 2, 3))
    return _divergence(student.log_softmax(-1), teacher.log_softmax(-1)).mean((1, 2))


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Divergence of log-probabilities over the last dimension."""
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


def _masked(student: Tensor, teacher: Tensor, mask: Tensor, form: str) -> Tensor:
    """The difference of relations [B, heads, N, N] among the real tokens alone."""
    filling = ~mask[:, None, None]
    if form == "mse":
        squares = (student - teacher).square().mean(1).masked_fill(filling[:, 0], 0.0)
        return masked_mean(squares.sum(-1) / mask.sum(-1, keepdim=True).clamp_min(1), mask)
    lowest = torch.finfo(student.dtype).min
    ours, theirs = (
        relation.masked_fill(filling, lowest).log_softmax(-1).masked_fill(filling, 0.0)
        for relation in (student, teacher)
    )
    return masked_mean(_divergence(ours, theirs).mean(1), mask)


def _relations(states: Tensor, heads: int) -> Tensor:
    """Scaled inner products of all pairs of tokens, [B, relation heads, N, N]."""
    joined = states.transpose(1, 2).flatten(2)
    samples, tokens, channels = joined.shape
    width = channels // heads
    split = joined[..., : heads * width].reshape(samples, tokens, heads, width).transpose(1, 2)
    return matmul(split, split.mT) / math.sqrt(width)


@dataclass(frozen=True, kw_only=True)
class AttentionRelation:
    """In their last layers, tokens relate to each other for the student as they do for the teacher.

    The relations of queries, of keys and of values are added up. Tokens that only fill up a sample do not count.
    """

    declares = Loss(
        teacher="live",
        reads={"attention"},
        student_reads={"attention"},
        scale=Scale(1.0, "weight of each of the three relations in both papers"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    form: Annotated[str, Choice("kl", "mse")] = "kl"  # divergence of softmaxes, or squared difference of raw relations
    heads: int = 0  # relation heads; 0 for as many as the teacher has heads

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: a network offers no queries, keys and values, the numbers of tokens differ, or there are more
            relation heads than channels.
        """
        student, teacher = (shapes.attention for shapes in offered(context, "attention_relation", "attention"))
        heads = self.heads or teacher[0][0]
        if len(student) != len(teacher) or student[0][1] != teacher[0][1]:
            raise ComponentError(
                f"loss 'attention_relation' compares tokens one by one; the student has states of shape {student}, the "
                f"teacher {teacher} (heads, tokens, width); use networks with equally many tokens"
            )
        channels = min(shapes[0][0] * shapes[0][2] for shapes in (student, teacher))
        if heads > channels:
            raise ComponentError(f"loss 'attention_relation' cannot split {channels} channels into {heads} heads")

        def term(step: Step) -> Tensor:
            states, mask = zip(step.student.attention, teacher_of(step).attention, strict=True), real_tokens(step)
            return torch.stack([attention_relation(a, b, mask, heads=heads, form=self.form) for a, b in states]).sum(0)

        return term
