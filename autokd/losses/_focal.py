"""Focal loss (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv 1708.02002, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def focal(student_logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy in which each class counts by how much its probability lacks: (1 - p)^gamma.

    Args:
      student_logits: [B, C].
      targets: [B, C] class probabilities.
      gamma: at least 0; 0 is cross-entropy.
    Returns:
      [B], nats, at least 0.
    Source: eq. 4, there of sigmoids and without the balancing factor, which `weighted_ce` has.
    Example:
      >>> focal(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # log 2 / 4
      tensor([0.1733])
    """
    logs = precise(student_logits).log_softmax(-1)
    lacking = 1 - logs.exp()
    return -(targets.to(logs.dtype) * lacking.clamp_min(1e-6) ** gamma * logs).sum(-1)


@dataclass(frozen=True, kw_only=True)
class Focal:
    """Cross-entropy with the labels that looks away from samples that are right with confidence; in place of `ce`."""

    declares = Loss(
        teacher="none",
        reads_labels=True,
        replaces={"ce"},
        scale=Scale(1.0, "that of ce, in whose place it stands"),
        tunes=(),
    )

    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight of the labels beside the other losses
    gamma: Annotated[float, Real(0.5, 5.0)] = 2.0  # how strongly it looks away; the paper tries 0.5 to 5

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return focal(step.student.logits, step.targets, gamma=self.gamma)

        return term
