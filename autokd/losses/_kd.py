"""Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term

_EPSILON = 1e-7  # added to the standard deviation, as in the authors' code
_FLAT = 1e-6  # standard deviation of a row of logits below which it is rounding noise
_FEWEST = 5  # classes; standardised logits of fewer can hardly tell a sure teacher from a doubtful one


def kd(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float | Tensor = 4.0) -> Tensor:
    """Kullback-Leibler divergence of the student's softened softmax from the teacher's, times the squared temperature.

    The square keeps the gradient, temperature * (p_student - p_teacher), about the same size at all temperatures.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperature: softmax temperature, > 0; a gradient reaches it where it is a tensor.
    Returns:
      [B], nats; 0 where the logits agree up to a constant a sample.
    Source: Hinton et al. 2015, section 2, with KL in place of cross-entropy (same gradient, minimum 0).
    Example:
      >>> teacher = torch.tensor([[0.25, 0.75]]).log()
      >>> kd(torch.zeros(1, 2), teacher, temperature=1.0)  # log(1/2) / 4 + 3 log(3/2) / 4
      tensor([0.1308])
    """
    student = F.log_softmax(precise(student_logits) / temperature, dim=-1)
    teacher = F.log_softmax(precise(teacher_logits.detach()) / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)


def standardised(logits: Tensor) -> Tensor:
    """Shift and scale each sample's logits to mean 0 and standard deviation 1.

    Args:
      logits: [B, C] with C >= 2.
    Returns:
      [B, C], between -(C - 1)/√C and (C - 1)/√C; a flat row becomes 0, without gradient.
    Source: Sun et al., Logit standardization in knowledge distillation, CVPR 2024, arXiv 2403.01427, algorithm 1. The
      standard deviation divides by C - 1 and 1e-7 is added to it, as in the authors' code.
    Example:
      >>> standardised(torch.tensor([[1.0, 3.0]]))
      tensor([[-0.7071,  0.7071]])
    """
    centred = precise(logits)
    centred = centred - centred.mean(-1, keepdim=True)
    std = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / (logits.shape[-1] - 1) ** 0.5
    return torch.where(std > _FLAT, centred / (std + _EPSILON), 0.0)


@dataclass(frozen=True, kw_only=True)
class KD:
    """The teacher's softened class probabilities as targets.

    With the weights a = 0.9 here and 1 - a = 0.1 on `ce` this is the classic mixture of common CIFAR recipes. With
    `standardize` the student need only agree with the teacher up to a shift and a positive scale a sample; published
    with weight 9, temperature 2, and 0.1 on `ce`.
    """

    declares = Loss(
        teacher="stored",
        scale=Scale(1.0, "T² KL is in nats like ce; published mixtures use 0.5 to 0.9"),
        excludes={"ctkd", "dkd", "lelp", "mlkd"},  # it is in each, or in parts
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # softmax temperature of both networks
    standardize: bool = False  # shift and scale both networks' logits to mean 0 and std 1 first; from 5 classes on

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: `standardize` with fewer than 5 classes.
        """
        if self.standardize and context.task.num_classes < _FEWEST:
            raise ComponentError(
                f"loss 'kd' with standardize needs at least {_FEWEST} classes, {context.task.dataset} has "
                f"{context.task.num_classes}; use standardize: false"
            )
        change = standardised if self.standardize else precise

        def term(step: Step) -> Tensor:
            return kd(change(step.student.logits), change(teacher_of(step).logits), temperature=self.temperature)

        return term
