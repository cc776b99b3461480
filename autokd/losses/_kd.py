"""Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor

from autokd.losses.common import precise, teacher_of
from autokd.ranges import Real
from autokd.types import ANY, BuildContext, Step, Term


def kd(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float = 4.0) -> Tensor:
    """Kullback-Leibler divergence of the student's softened softmax from the teacher's, times the squared temperature.

    The square keeps the gradient, temperature * (p_student - p_teacher), about the same size at all temperatures.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperature: softmax temperature, > 0.
    Returns:
      [B], nats; 0 where the logits agree up to a constant a sample.
    Source: Hinton et al. 2015, section 2, with KL in place of cross-entropy (same gradient, minimum 0).
    """
    student = F.log_softmax(precise(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(precise(teacher_logits.detach()) / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


@dataclass(frozen=True, kw_only=True)
class KD:
    """The teacher's softened class probabilities as targets.

    With the weights a = 0.9 here and 1 - a = 0.1 on `ce` this is the classic mixture of common CIFAR recipes.
    """

    modalities = ANY
    teacher = "stored"
    needs: ClassVar[frozenset[str]] = frozenset()
    batch_statistic = False
    min_classes = 2
    excludes: ClassVar[frozenset[str]] = frozenset({"dkd"})  # the same two terms, weighted apart
    requires: ClassVar[frozenset[str]] = frozenset()
    scale: ClassVar[float] = 1.0  # T² KL is in nats like ce; published mixtures use 0.5 to 0.9

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # softmax temperature of both networks

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return kd(step.student.logits, teacher_of(step).logits, temperature=self.temperature)

        return term
