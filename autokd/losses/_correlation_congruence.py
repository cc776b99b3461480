"""Correlation congruence (Peng et al., ICCV 2019, arXiv 1904.01802)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.losses.pairing import offered
from autokd.losses.relations import cosines, pooled_of, pooled_term
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term

_ADJACENT_WEIGHT = 0.02  # published for the form over neighbouring rows, in the CRD benchmark


def correlation_congruence(
    student_features: Tensor, teacher_features: Tensor, *, gamma: float = 0.4, order: int = 2
) -> Tensor:
    """Mean squared difference of the two networks' kernel matrices over the batch.

    The kernel is the Gaussian's Taylor series on directions: for unit vectors exp(-gamma |x - y|²) is the sum over p of
    exp(-2 gamma) (2 gamma cos)^p / p!. A batch statistic: it compares the samples of a batch with one another, so
    widths may differ.

    Args:
      student_features: [B, D].
      teacher_features: [B, D']; no gradient reaches it.
      gamma: inverse width of the kernel, > 0.
      order: last power of the series, >= 1.
    Returns:
      Scalar without unit: squared Frobenius distance over B²; 0 where the cosines agree.
    Source: Peng et al. 2019, correlation congruence with the Taylor-expanded Gaussian kernel. The authors' released
      code instead multiplies differences of neighbouring samples, see `adjacent_congruence`.
    """
    student, teacher = (_kernel(precise(x), gamma, order) for x in (student_features, teacher_features.detach()))
    return (student - teacher).square().mean()


def adjacent_congruence(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Mean product of neighbouring samples' absolute differences, as the authors' released code has it.

    It depends on the order of the batch, and is 0 already where every other sample agrees.

    Args:
      student_embedding, teacher_embedding: [B, D], both learned; gradients reach both.
    Returns:
      Scalar in squared units of the embedding: the sum over D, averaged over the B - 1 neighbours; 0 for one sample.
    """
    difference = (precise(student_embedding) - precise(teacher_embedding)).abs()
    return (difference[:-1] * difference[1:]).sum() / max(len(difference) - 1, 1)


def _kernel(features: Tensor, gamma: float, order: int) -> Tensor:
    similarity = 2 * gamma * cosines(features)
    powers = torch.stack([similarity**p / float(math.factorial(p)) for p in range(order + 1)])
    return math.exp(-2 * gamma) * powers.sum(0)


class AdjacentTerm(nn.Module):
    """The released form on linear embeddings of both networks' pooled embeddings.

    Args:
      student_width, teacher_width: of the pooled embeddings.
      width: of the embeddings.
      factor: what the statistic is multiplied by.
    """

    def __init__(self, student_width: int, teacher_width: int, width: int, factor: float) -> None:
        super().__init__()
        self.student_embedding = nn.Linear(student_width, width)
        self.teacher_embedding = nn.Linear(teacher_width, width)
        self.factor = factor

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, a scalar."""
        student, teacher = pooled_of(step)
        return self.factor * adjacent_congruence(self.student_embedding(student), self.teacher_embedding(teacher))


@dataclass(frozen=True, kw_only=True)
class CorrelationCongruence:
    """Pairs of samples are as close to each other in the student's embedding as in the teacher's."""

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(100.0, "for this form, gamma and order in the Knowledge-Distillation-Zoo's CIFAR scripts"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    gamma: Annotated[float, Real(0.1, 1.0, log=True)] = 0.4  # inverse width of the Gaussian kernel
    order: int = 2  # last power of the kernel's Taylor series
    adjacent: bool = False  # the released form on neighbouring rows of learned embeddings, at its own published weight
    width: int = 128  # of the learned embeddings of the released form

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar; a module with the embeddings where `adjacent`.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        if not self.adjacent:
            return pooled_term(self._loss, context, "correlation_congruence")
        student, teacher = (shapes.pooled for shapes in offered(context, "correlation_congruence", "pooled"))
        assert student is not None and teacher is not None
        return AdjacentTerm(student, teacher, self.width, _ADJACENT_WEIGHT / self.declares.scale.value)

    def _loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return correlation_congruence(student, teacher, gamma=self.gamma, order=self.order)
