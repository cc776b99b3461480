"""Curriculum temperature (Li et al., AAAI 2023, arXiv 2211.16231), with one global temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses._kd import kd
from autokd.losses.common import teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def ctkd(student_logits: Tensor, teacher_logits: Tensor, temperature: Tensor, *, reversal: float = 1.0) -> Tensor:
    """`kd` at a learned temperature that follows the gradient uphill: student and temperature are adversaries.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperature: scalar, > 0; its gradient is that of `kd` times -reversal.
      reversal: strength of the gradient reversal, >= 0.
    Returns:
      [B], nats, exactly the value of `kd`; 0 where the logits agree up to a constant a sample.
    Source: Li et al. 2023, the Global-T variant. As in the authors' code the gradient also runs through the factor
      temperature².
    """
    here = temperature.detach()
    return kd(student_logits, teacher_logits, temperature=here + reversal * (here - temperature))


class CTKDTerm(nn.Module):
    """`ctkd` with its temperature, 1 + span * sigmoid(x) for one learned number x, which starts at 1.

    Args:
      span: width of the temperature's range.
      curriculum: share of training over which the reversal rises from 0 to 1 along half a cosine.
    """

    def __init__(self, span: float, curriculum: float) -> None:
        super().__init__()
        self.span = span
        self.curriculum = curriculum
        self.x = nn.Parameter(torch.ones(1))

    @property
    def temperature(self) -> Tensor:
        """The temperature now, [1]."""
        return 1 + self.span * self.x.sigmoid()

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        reversal = (1 - math.cos(math.pi * min(step.u / self.curriculum, 1.0))) / 2
        return ctkd(step.student.logits, teacher_of(step).logits, self.temperature, reversal=reversal)


@dataclass(frozen=True, kw_only=True)
class CTKD:
    """Vanilla distillation whose temperature learns to make it harder, ever more so over the first part of training.

    The paper's Global-T variant, with the range, start and curriculum of the authors' code. The temperature is one
    number and so gets no weight decay here.
    """

    declares = Loss(
        teacher="stored",
        scale=Scale(0.9, "published, beside ce at 0.1"),
        excludes={"kd"},  # the same loss at a fixed temperature
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    span: Annotated[float, Real(4.0, 20.0, log=True)] = 20.0  # the temperature lies between 1 and 1 + span
    curriculum: Annotated[float, Real(0.02, 0.5, log=True)] = 10 / 240  # share of training until full reversal

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose temperature trains along."""
        return CTKDTerm(self.span, self.curriculum)
