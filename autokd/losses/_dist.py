"""DIST: distillation by correlation (Huang et al., NeurIPS 2022, arXiv 2205.10536, eqs. 7 to 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of, unit
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term

_FLAT = 1e-6  # length of a centred vector of probabilities below which it is rounding noise


def dist(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 4.0,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """Pearson distance of the class probabilities, along samples' rows and along classes' columns.

    A batch statistic: the columns compare the samples of a batch with one another. A flat row or column has no
    correlation: the distance is 0 where both sides are flat and 1/2 where one is, and the flat side gets no gradient.
    So a batch of one has no column term.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperature: softmax temperature, > 0; the result is scaled by its square.
      beta: weight of the inter-class term (rows), >= 0.
      gamma: weight of the intra-class term (columns), >= 0.
    Returns:
      Scalar without unit, at most 2 (beta + gamma) temperature²; 0 where the probabilities agree.
    Source: Huang et al. 2022, eqs. 7 to 10; the factor temperature² is that of the authors' code.
    Example:
      >>> dist(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), temperature=1.0)  # a flat row beside another
      tensor(0.5000)
    """
    student = (precise(student_logits) / temperature).softmax(-1)
    teacher = (precise(teacher_logits.detach()) / temperature).softmax(-1)
    inter = _pearson_distance(student, teacher).mean()
    intra = _pearson_distance(student.T, teacher.T).mean()
    return temperature**2 * (beta * inter + gamma * intra)


def _pearson_distance(a: Tensor, b: Tensor) -> Tensor:
    """One minus the Pearson correlation along the last dimension, as half the squared distance of the unit vectors."""
    a, b = (unit(x - x.mean(-1, keepdim=True), epsilon=_FLAT) for x in (a, b))
    return (a - b).square().sum(-1) / 2


@dataclass(frozen=True, kw_only=True)
class DIST:
    """Correlation with the teacher's probabilities instead of equality with them; kinder to a student far behind."""

    declares = Loss(
        teacher="stored",
        scale=Scale(2.0, "published weight of both terms, CIFAR-100 and ImageNet"),
        batch_statistic=True,
        min_classes=2,  # with two, rows correlate by +1 or -1 only: the column term alone teaches
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 8.0, log=True)] = 4.0  # softmax temperature of both networks
    beta: Annotated[float, Real(0.5, 4.0, log=True)] = 1.0  # weight of the inter-class term
    gamma: Annotated[float, Real(0.5, 4.0, log=True)] = 1.0  # weight of the intra-class term

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar."""

        def term(step: Step) -> Tensor:
            return dist(
                step.student.logits,
                teacher_of(step).logits,
                temperature=self.temperature,
                beta=self.beta,
                gamma=self.gamma,
            )

        return term
