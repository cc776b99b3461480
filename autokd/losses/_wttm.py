"""Weighted transformed teacher matching (Zheng and Yang, ICLR 2024, arXiv 2402.11148)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses._ttm import ttm
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def wttm(student_logits: Tensor, teacher_logits: Tensor, *, gamma: float = 0.1) -> Tensor:
    """`ttm` times the sample's power sum Σ p_teacher^gamma, which is larger the softer the teacher's answer.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      gamma: exponent of the power transform, in (0, 1]; with 1 this is `kd` at temperature 1.
    Returns:
      [B], nats times a weight in [1, C^(1 - gamma)]; 0 where the student's logits are gamma times the teacher's, up to
      a constant a sample.
    Source: Zheng and Yang 2024, the WTTM objective.
    Example:
      >>> teacher = torch.tensor([[0.1, 0.9]]).log()
      >>> wttm(torch.zeros(1, 2), teacher, gamma=0.5)  # `ttm` times √0.1 + √0.9
      tensor([0.1655])
    """
    power_sum = (gamma * precise(teacher_logits.detach()).log_softmax(-1)).exp().sum(-1)
    return power_sum * ttm(student_logits, teacher_logits, gamma=gamma)


@dataclass(frozen=True, kw_only=True)
class WTTM:
    """The student matches a softened teacher, most where the teacher is in doubt.

    The weights grow with the number of classes, so the best `weight` falls with it.
    """

    declares = Loss(
        teacher="stored",
        scale=Scale(4.0, "published with gamma 0.2, CIFAR-100, beside ce at 1 and a second loss"),
        excludes={"ttm"},  # the same divergences, unweighted
    )

    weight: Annotated[float, Real(0.25, 10.0, log=True)] = 1.0  # relative to the method's own scale
    gamma: Annotated[float, Real(0.05, 1.0, log=True)] = 0.2  # exponent on the teacher's probabilities

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return wttm(step.student.logits, teacher_of(step).logits, gamma=self.gamma)

        return term
