"""Centred kernel alignment as a loss (Kornblith et al., ICML 2019, arXiv 1905.00414, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.losses.relations import matmul, pooled_term
from autokd.ranges import Real
from autokd.types import BuildContext, Term


def cka(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """One minus the linear centred kernel alignment of two embeddings of the same samples.

    It ignores rotation, one common scale and shift of either side, not other linear maps. A batch statistic: widths may
    differ. The alignment of unrelated features is high where the batch is not much larger than the widths. Features
    equal for all samples (so also a batch of one) are aligned with nothing: 1, without gradient.

    Args:
      student_features: [B, D].
      teacher_features: [B, D']; no gradient reaches it.
    Returns:
      Scalar without unit, in [0, 1]; 0 where the centred embeddings agree up to a rotation and a scale.
    Source: Kornblith et al. 2019, section 3, with the linear kernel (biased estimator).
    Example:
      >>> left, up = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
      >>> cka(left, up)  # uncorrelated
      tensor(1.)
    """
    student, teacher = _similarities(precise(student_features)), _similarities(precise(teacher_features.detach()))
    return 1 - (student * teacher).sum()


def _similarities(features: Tensor) -> Tensor:
    """Inner products of all pairs of centred samples, [B, B], scaled to Frobenius norm 1."""
    centred = features - features.mean(0)
    largest = centred.detach().abs().amax().clamp_min(torch.finfo(features.dtype).tiny)  # the norm is a fourth power
    centred = centred / largest
    products = matmul(centred, centred.T)
    norm = torch.linalg.vector_norm(products)
    return torch.where(norm > 0, products / norm.clamp_min(torch.finfo(features.dtype).tiny), 0.0)


@dataclass(frozen=True, kw_only=True)
class CKA:
    """The student's embedding is the teacher's up to a rotation and a scale."""

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(1.0, "none is published; the loss lies in [0, 1], beside a few nats of ce"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        return pooled_term(cka, context, "cka")
