"""Similarity-preserving knowledge distillation (Tung and Mori, ICCV 2019, arXiv 1907.09682, eqs. 1 to 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, unit
from autokd.losses.pairing import match, summed
from autokd.losses.relations import ZERO, matmul
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Term


def sp(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference between the two networks' sample-by-sample similarities.

    A batch statistic: it compares the samples of a batch with one another, so widths and sizes of the maps may differ.
    A batch of one gives 0. A sample whose features are all zero has similarity 0 to all, without gradient.

    Args:
      student_map, teacher_map: [B, …], flattened; no gradient reaches the teacher's.
    Returns:
      Scalar without unit: squared Frobenius distance over B²; 0 where the similarities agree.
    Source: Tung and Mori 2019, eqs. 1 to 4, one pair of layers.
    Example:
      >>> alike, apart = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2)
      >>> sp(alike, apart)  # 1 - 1/√2
      tensor(0.2929)
    """
    difference = _similarities(student_map) - _similarities(teacher_map.detach())
    return difference.square().mean()


def _similarities(features: Tensor) -> Tensor:
    """Inner products of all pairs of samples with every row scaled to length 1, [B, B]."""
    rows = precise(features).flatten(1)
    return unit(matmul(rows, rows.T), epsilon=ZERO)


@dataclass(frozen=True, kw_only=True)
class SP:
    """Samples that the teacher finds similar are similar to the student; stages' losses are added up."""

    declares = Loss(
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(3000.0, "published weight, section 4.1, under the same division by B²"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "last"  # which student stages learn from which

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar.

        Raises:
          ComponentError: a network offers no features, or `stages` names one that is not there.
        """
        return summed(sp, match(context, "sp", self.stages))
