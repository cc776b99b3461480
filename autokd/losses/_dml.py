"""Deep mutual learning (Zhang, Xiang, Hospedales and Lu, CVPR 2018, arXiv 1706.00384)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def dml(student_logits: Tensor, peer_logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a network's class probabilities from those of the one that it learns beside.

    Args:
      student_logits, peer_logits: [B, C]; no gradient reaches the peer's, which is a constant here.
    Returns:
      [B], nats; 0 where the logits agree up to a constant a sample.
    Source: Zhang et al. 2018, section 3.2, at temperature 1 as there; the mean over the batch is taken by the engine.
    Example:
      >>> peer = torch.tensor([[0.25, 0.75]]).log()
      >>> dml(torch.zeros(1, 2), peer)  # log(1/2) / 4 + 3 log(3/2) / 4
      tensor([0.1308])
    """
    student = F.log_softmax(precise(student_logits), dim=-1)
    peer = F.log_softmax(precise(peer_logits.detach()), dim=-1)
    return F.kl_div(student, peer, reduction="none", log_target=True).sum(-1)


@dataclass(frozen=True, kw_only=True)
class DML:
    """Two networks that learn the labels together, and each from the other's current answers; no teacher is needed.

    The peer learns from the student's answers in the same way, and the labels by the same losses as the student. Both
    take their steps on the same batch, from one forward pass each, as in the authors' code; in the paper's algorithm
    the second network sees the first one's answers after its step.
    """

    declares = Loss(teacher="peer", scale=Scale(1.0, "published: beside ce at 1, section 3.2"))

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return dml(step.student.logits, teacher_of(step).logits)

        return term
