"""Variational information distillation (Ahn et al., CVPR 2019, arXiv 1904.05835)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.losses.pairing import Match, match, same_rank
from autokd.losses.projectors import pointwise, to_smaller
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

_LEAST = 1e-5  # variance


def vid(student_mean: Tensor, teacher_map: Tensor, variance: Tensor) -> Tensor:
    """Negative log-likelihood, up to a constant, of the teacher's features under a Gaussian that the student predicts.

    Args:
      student_mean: [B, c, …], predicted from the student's features.
      teacher_map: [B, c, …]; no gradient reaches it.
      variance: [c], > 0, one a channel.
    Returns:
      [B], nats, the mean over all but the batch; not bounded below by 0: at the best variance, the mean square r² of
      the residual, it is (1 + log r²) / 2.
    Source: Ahn et al. 2019, with the mean in place of the sum, as in the CRD benchmark (Tian et al., ICLR 2020).
    """
    residual = precise(student_mean) - precise(teacher_map.detach())
    spread = variance.reshape(-1, *[1] * (residual.ndim - 2))
    return ((residual.square() / spread + spread.log()) / 2).flatten(1).mean(-1)


class VIDStage(nn.Module):
    """Predicts a teacher stage's features from a student stage's: a mean a position, a variance a channel.

    Args:
      pair: the stages.
      variance: of every channel, at the start.
    """

    def __init__(self, pair: Match, variance: float) -> None:
        super().__init__()
        width, maps = pair.teacher_shape[0], len(pair.teacher_shape) == 3
        self.pair, self.maps = pair, maps
        self.regressor = nn.Sequential(
            pointwise(pair.student_shape[0], width, maps=maps, bias=False),
            nn.ReLU(),
            pointwise(width, width, maps=maps, bias=False),
            nn.ReLU(),
            pointwise(width, width, maps=maps, bias=False),
        )
        self.spread = nn.Parameter(torch.full((width,), math.log(math.expm1(variance - _LEAST))))

    def forward(self, step: Step) -> Tensor:
        """Return the loss at this pair of stages, [B]."""
        student = precise(step.student.features[self.pair.student])
        teacher = precise(teacher_of(step).features[self.pair.teacher].detach())
        if self.maps:
            student, teacher = to_smaller(student, teacher)
        return vid(self.regressor(student), teacher, F.softplus(self.spread) + _LEAST)


class VIDTerm(nn.Module):
    """The loss added up over pairs of stages."""

    def __init__(self, matches: tuple[Match, ...], variance: float) -> None:
        super().__init__()
        self.stages = nn.ModuleList(VIDStage(pair, variance) for pair in matches)

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        return torch.stack([stage(step) for stage in self.stages]).sum(0)


@dataclass(frozen=True, kw_only=True)
class VID:
    """The student's features tell as much as possible of the teacher's: a lower bound on their mutual information.

    Stages' losses are added up; a larger map is average-pooled to the smaller. May be negative.
    """

    declares = Loss(
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(1.0, "weight in the CRD benchmark (Tian et al., ICLR 2020), same mean over positions"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "all"  # which student stages learn from which
    variance: Annotated[float, Real(0.1, 5.0, log=True)] = 5.0  # of every channel at the start; lower for short runs

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose regressors and variances train along.

        Raises:
          ComponentError: a network offers no features, one offers maps and the other vectors, or `stages` names one
            that is not there.
        """
        return VIDTerm(same_rank(match(context, "vid", self.stages), "vid"), self.variance)
