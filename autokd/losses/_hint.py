"""FitNets: hints from an intermediate layer (Romero et al., ICLR 2015, arXiv 1412.6550, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.losses.pairing import Match, match, same_rank
from autokd.losses.projectors import regressor
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term


def hint(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of two feature maps of the same shape.

    Args:
      student_map: [B, …], already regressed to the teacher's shape.
      teacher_map: [B, …]; no gradient reaches it.
    Returns:
      [B], the mean over all but the batch, in squared units of the features; 0 where they agree.
    Source: Romero et al. 2015, eq. 3, with the mean in place of half the sum.
    Example:
      >>> hint(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))  # (1 + 4) / 2
      tensor([2.5000])
    """
    difference = precise(student_map) - precise(teacher_map.detach())
    return difference.square().flatten(1).mean(-1)


class HintTerm(nn.Module):
    """The hint loss, added up over pairs of stages, with regressors from the student's features to the teacher's shape.

    Args:
      matches: the pairs of stages.
      relu: end regressors of maps in a ReLU.
    """

    def __init__(self, matches: tuple[Match, ...], *, relu: bool) -> None:
        super().__init__()
        self.matches = matches
        self.regressors = nn.ModuleList(
            regressor(pair.student_shape, pair.teacher_shape, relu=relu) for pair in matches
        )

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        student, teacher = step.student.features, teacher_of(step).features
        return torch.stack(
            [
                hint(regress(precise(student[pair.student])), teacher[pair.teacher])
                for pair, regress in zip(self.matches, self.regressors, strict=True)
            ]
        ).sum(0)


@dataclass(frozen=True, kw_only=True)
class Hint:
    """The student's features, through a learned regressor, match the teacher's.

    Trained jointly with the other losses (the paper trains the hint first). The regressor is no part of the student.
    Stages' losses are added up.
    """

    declares = Loss(
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(100.0, "weight in the joint form of the CRD benchmark (Tian et al., ICLR 2020)"),
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stages: Annotated[str, Choice("middle", "last", "skip", "all", "size")] = "middle"  # which learn from which
    relu: bool = True  # end the regressor of maps in a ReLU; off for a teacher whose maps go below 0

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose regressor trains along.

        Raises:
          ComponentError: a network offers no features, one offers maps and the other vectors, or `stages` names one
            that is not there.
        """
        return HintTerm(same_rank(match(context, "hint", self.stages), "hint"), relu=self.relu)
