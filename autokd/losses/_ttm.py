"""Transformed teacher matching (Zheng and Yang, ICLR 2024, arXiv 2402.11148)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def ttm(student_logits: Tensor, teacher_logits: Tensor, *, gamma: float = 0.1) -> Tensor:
    """Divergence of the student's own softmax from the teacher's probabilities raised to a power.

    The power transform p^gamma / Σ p^gamma is the softmax at temperature 1 / gamma, of the teacher only. This is `kd`
    with only the teacher softened, which rewards a student of high entropy; with gamma = 1 it is `kd` at temperature 1.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      gamma: exponent of the power transform, in (0, 1].
    Returns:
      [B], nats; 0 where the student's logits are gamma times the teacher's, up to a constant a sample.
    Source: Zheng and Yang 2024, the TTM objective; no factor temperature².
    Example:
      >>> teacher = torch.tensor([[0.1, 0.9]]).log()  # its square root is 1 to 3
      >>> ttm(torch.zeros(1, 2), teacher, gamma=0.5)  # log(1/2) / 4 + 3 log(3/2) / 4
      tensor([0.1308])
    """
    target = (gamma * precise(teacher_logits.detach())).log_softmax(-1)
    student = precise(student_logits).log_softmax(-1)
    return F.kl_div(student, target, reduction="none", log_target=True).sum(-1)


@dataclass(frozen=True, kw_only=True)
class TTM:
    """The student matches a softened teacher without being softened itself."""

    declares = Loss(
        teacher="stored",
        scale=Scale(45.0, "published for vgg13 and vgg8 on CIFAR-100 with gamma 0.1, beside ce at 1"),
        excludes={"wttm"},  # the same divergences, weighted by sample
    )

    weight: Annotated[float, Real(0.02, 2.0, log=True)] = 1.0  # relative to the method's own scale
    gamma: Annotated[float, Real(0.05, 1.0, log=True)] = 0.1  # exponent on the teacher's probabilities

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return ttm(step.student.logits, teacher_of(step).logits, gamma=self.gamma)

        return term
