"""Neuron selectivity transfer (Huang and Wang 2017, arXiv 1707.01219)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, unit
from autokd.losses.pairing import match, summed
from autokd.losses.projectors import to_smaller
from autokd.losses.relations import ZERO, matmul
from autokd.ranges import Choice, Real
from autokd.types import IMAGE, BuildContext, Term


def nst(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Squared maximum mean discrepancy between the channels' spatial patterns, under the squared inner product.

    Each channel's pattern is scaled to length 1; numbers of channels may differ; the larger map is average-pooled to
    the smaller. A channel that is zero everywhere counts as the pattern 0, without gradient.

    Args:
      student_map: [B, c, h, w].
      teacher_map: [B, c', h', w']; no gradient reaches it.
    Returns:
      [B], without unit, in [0, 2]; 0 where the two sets of patterns have the same second moments.
    Source: Huang and Wang 2017, with the polynomial kernel of degree 2 without constant.
    Example:
      >>> here, there = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
      >>> nst(here, there)
      tensor([2.])
    """
    maps = to_smaller(precise(student_map), precise(teacher_map.detach()))
    student, teacher = (unit(x.flatten(2), epsilon=ZERO) for x in maps)
    return _kernel(student, student) + _kernel(teacher, teacher) - 2 * _kernel(student, teacher)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared inner product of the rows of [B, c, p] and [B, c', p], [B]."""
    return matmul(a, b.mT).square().mean((1, 2))


@dataclass(frozen=True, kw_only=True)
class NST:
    """The student's channels respond to the same places, as a set, as the teacher's; stages' losses are added up."""

    declares = Loss(
        modalities=IMAGE,
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(50.0, "weight in the CRD benchmark (Tian et al., ICLR 2020); the paper has half of it"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "all"  # which student stages learn from which

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: a network offers no maps, or `stages` names one that is not there.
        """
        return summed(nst, match(context, "nst", self.stages, maps=True))
