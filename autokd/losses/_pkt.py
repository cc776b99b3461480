"""Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018, arXiv 1803.10837)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.losses.relations import ZERO, matmul, pooled_term
from autokd.ranges import Real
from autokd.types import BuildContext, Term

_EPSILON = 1e-7  # added to lengths and probabilities, as in the authors' code


def pkt(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Kullback-Leibler divergence between the networks' probabilities that one sample is a neighbour of another.

    A batch statistic: it compares the samples of a batch with one another, so widths may differ. A batch of one gives
    0. A sample whose features are all zero is equally near to all.

    Args:
      student_features: [B, D].
      teacher_features: [B, D']; no gradient reaches it.
    Returns:
      Scalar, nats: the sum over all pairs (a sample and itself included) over B²; 0 where the cosines agree.
    Source: Passalis and Tefas 2018, with the cosine kernel (cos + 1) / 2; the division by B² and the 1e-7
      added to each length and, within the logarithm, to each probability are those of the authors' code.
    Example:
      >>> alike, apart = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2)
      >>> pkt(alike, apart)  # (2 log(4/3) + log(2/3)) / 6
      tensor(0.0283)
    """
    student = _neighbours(precise(student_features))
    teacher = _neighbours(precise(teacher_features.detach()))
    return (teacher * ((teacher + _EPSILON) / (student + _EPSILON)).log()).mean()


def _neighbours(features: Tensor) -> Tensor:
    """Probability of column j as the neighbour of row i, [B, B]."""
    length = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    directions = torch.where(length > ZERO, features / (length + _EPSILON), 0.0)
    similarity = ((matmul(directions, directions.T) + 1) / 2).clamp_min(0)  # rounding may go below
    return similarity / similarity.sum(-1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class PKT:
    """The student's embedding has the teacher's neighbourhoods."""

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(30000.0, "weight in the CRD benchmark (Tian et al., ICLR 2020), same division by B²"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        return pooled_term(pkt, context, "pkt")
