"""What the losses share: precision, class indices, unit vectors, and the teacher's side of a step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autokd.errors import ComponentError
from autokd.types import BuildContext, Output, Shapes, Step

COSTS = {
    1.0: "about the student's own step",
    1.2: "about 1.2 times the student's own step",
    1.6: "about 1.6 times the student's own step",
    2.0: "twice the student's own step or more",
}
"""What a loss declares as `cost`, in words: the time of a training step over that of one with cross-entropy alone.

Measured for networks of the size of ResNet-20, the teacher's outputs at hand: the teacher's own pass is not in it. The
classes are those of ratios below 1.1, below 1.3, below 2, and above; the figures are in `benchmarks/losses-cost.jsonl`.
A smaller student makes the same loss weigh more.
"""


def precise(x: Tensor) -> Tensor:
    """Return `x` in float32 at least: half precision is raised, float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def class_index(targets: Tensor) -> Tensor:
    """Return class indices [B] of targets that are indices [B] or class probabilities [B, C] (their arg-max)."""
    return targets.argmax(-1) if targets.ndim == 2 else targets


def target_mask(targets: Tensor, classes: int) -> Tensor:
    """Return [B, C], true at each sample's target class; `targets` as in `class_index`."""
    index = class_index(targets)
    return torch.arange(classes, device=index.device) == index[:, None]


def log_softmax_of_others(logits: Tensor, is_target: Tensor) -> Tensor:
    """Return log-probabilities among the non-target classes, [B, C]; the target's own entry is 0."""
    return logits.masked_fill(is_target, -math.inf).log_softmax(-1).masked_fill(is_target, 0.0)


def unit(x: Tensor, *, epsilon: float) -> Tensor:
    """Scale vectors along the last dimension to length 1; one no longer than `epsilon` becomes 0, without gradient."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.where(norm > epsilon, x / norm.clamp_min(epsilon), 0.0)


def over_positions(feature: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return [B, d]: the mean over space of maps [B, d, h, w], over tokens of [B, N, d]; vectors [B, d] as they are.

    Args:
      feature: of one stage.
      mask: [B, N] bool, false at tokens that only fill up a sample and do not count; None: all are real.
    """
    if feature.ndim == 4:
        return feature.mean((2, 3))
    if feature.ndim == 3 and mask is not None:
        return torch.where(mask[..., None], feature, 0.0).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
    return feature.mean(1) if feature.ndim == 3 else feature


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return [B], the mean of [B, N, …] over tokens and all that follows, over real tokens alone where there is a mask.

    Args:
      values: one or several numbers a token.
      mask: [B, N] bool, false at tokens that only fill up a sample; None: all are real. A sample without any has 0.
    """
    if mask is None:
        return values.flatten(1).mean(-1)
    each = values.flatten(2).mean(-1) if values.ndim > 2 else values
    return torch.where(mask, each, 0.0).sum(-1) / mask.sum(-1).clamp_min(1)


def real_tokens(step: Step) -> Tensor | None:
    """Return [B, N] bool, false at tokens that either network says only fill up a sample; None where neither does."""
    student, teacher = step.student.mask, teacher_of(step).mask
    if student is None or teacher is None:
        return teacher if student is None else student
    return student & teacher


def teacher_of(step: Step) -> Output:
    """Return the teacher's output of a step.

    Raises:
      ValueError: the step has none.
    """
    if step.teacher is None:
        raise ValueError("this loss reads the teacher's output, and the step has none; give the training a teacher")
    return step.teacher


def members_of(step: Step) -> tuple[Output, ...]:
    """Return what each member of an ensemble of teachers says of a step.

    Raises:
      ValueError: the step has no members.
    """
    if not step.members:
        raise ValueError("this loss reads the members of an ensemble, and the step has none; give several teachers")
    return step.members


def feature_shapes(context: BuildContext, loss: str) -> tuple[Shapes, Shapes]:
    """Return what student and teacher offer, both with at least one feature.

    Raises:
      ComponentError: one of them offers no features.
    """
    for who, shapes in (("student", context.student), ("teacher", context.teacher)):
        if shapes is None or not shapes.features:
            raise ComponentError(f"loss {loss!r} reads features, and the {who} offers none; use a loss on logits")
    assert context.student is not None and context.teacher is not None
    return context.student, context.teacher
