"""Normalised knowledge distillation (Yang et al., ICCV 2023, arXiv 2303.13005)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import log_softmax_of_others, precise, target_mask, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def nkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    gamma: float = 1.5,
) -> Tensor:
    """Soft cross-entropy in two parts: the target class, and the other classes, each network's scaled to sum to 1.

    -p_teacher(y) log p_student(y) at temperature 1, plus gamma temperature² times the cross-entropy of the softmaxes
    over the non-target logits at `temperature`.

    Args:
      student_logits, teacher_logits: [B, C] with C >= 2; no gradient reaches the teacher's.
      targets: [B] class indices, or [B, C] class probabilities (their arg-max is the target class).
      temperature: softmax temperature of the non-target part only, > 0.
      gamma: weight of the non-target part, >= 0; that part is 0 for two classes.
    Returns:
      [B], nats. A cross-entropy: its infimum, gamma temperature² times the entropy of the teacher's non-target softmax,
      is reached where the student's non-target softmax is the teacher's and its target probability tends to 1.
    Source: Yang et al. 2023, the NKD loss; the factor temperature² and the first part's temperature of 1 are those of
      the authors' code.
    Example:
      >>> even = torch.zeros(1, 3)
      >>> nkd(even, even, torch.tensor([0]))  # log(3) / 3 + 1.5 log(2)
      tensor([1.4059])
    """
    student, teacher = precise(student_logits), precise(teacher_logits.detach())
    is_target = target_mask(targets, student.shape[-1])
    target_part = -(teacher.softmax(-1) * student.log_softmax(-1) * is_target).sum(-1)
    others = log_softmax_of_others(teacher / temperature, is_target).exp().masked_fill(is_target, 0.0)
    others_part = -(others * log_softmax_of_others(student / temperature, is_target)).sum(-1)
    return target_part + gamma * temperature**2 * others_part


@dataclass(frozen=True, kw_only=True)
class NKD:
    """The teacher's trust in the target class, and its view of the other classes scaled to sum to 1, weighted apart."""

    declares = Loss(
        teacher="stored",
        reads_labels=True,
        scale=Scale(1.0, "published: beside ce at 1"),
        min_classes=3,  # with two classes only the target part is left
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 6.0, log=True)] = 1.0  # of the non-target part; 3 for CIFAR-100
    gamma: Annotated[float, Real(0.25, 8.0, log=True)] = 1.5  # weight of the non-target part; 3.5 for CIFAR-100

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return nkd(
                step.student.logits,
                teacher_of(step).logits,
                step.targets,
                temperature=self.temperature,
                gamma=self.gamma,
            )

        return term
