"""Confidence-aware multi-teacher distillation, CA-MKD (Zhang, Chen and Wang, ICASSP 2022, arXiv 2201.00007)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses._kd import kd
from autokd.losses.common import members_of, precise
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def camkd(
    student_logits: Tensor, member_logits: Sequence[Tensor], targets: Tensor, *, temperature: float = 4.0
) -> Tensor:
    """Distillation from each member of an ensemble, weighted for each sample by how well that member knows its label.

    Args:
      student_logits: [B, C].
      member_logits: [B, C] of each of K members, K >= 1; no gradient reaches them.
      targets: [B, C] class probabilities.
      temperature: softmax temperature of the distillation, > 0; weights are of temperature 1.
    Returns:
      [B], nats; the weighted mean over the members of `autokd.losses.kd`. For one member that is `kd` itself.
    Source: Zhang, Chen and Wang 2022, section 2.1, with KL in place of cross-entropy (same gradient, minimum 0). The
      authors' code divides by K once more, although the weights sum to 1; that is left out.
    """
    each = torch.stack([kd(student_logits, logits, temperature=temperature) for logits in member_logits])
    return (confidences(member_logits, targets) * each).sum(0)


def confidences(member_logits: Sequence[Tensor], targets: Tensor) -> Tensor:
    """Return the weights of K members, [K, B]: (1 - softmax over members of their cross-entropies) / (K - 1).

    Args:
      member_logits: [B, C] each.
      targets: [B, C] class probabilities.
    Returns:
      Between 0 and 1 / (K - 1), 1 in sum over the members; 1 for a single one.
    Source: as `camkd`, eq. 3.
    Example:
      >>> sure, wrong = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
      >>> confidences([sure, wrong], torch.tensor([[1.0, 0.0]])).squeeze(1)
      tensor([0.9526, 0.0474])
    """
    if len(member_logits) == 1:
        return torch.ones_like(precise(member_logits[0][None, :, 0]))
    logits = precise(torch.stack([logits.detach() for logits in member_logits]))
    errors = -(targets * F.log_softmax(logits, dim=-1)).sum(-1)
    return (1 - errors.softmax(0)) / (len(member_logits) - 1)


@dataclass(frozen=True, kw_only=True)
class CAMKD:
    """Several teachers, each listened to by sample as far as it says the right label; needs an ensemble of teachers.

    This is the part of the method that is about answers; its second part, on features, is not built. Published beside
    `ce` at 1 with temperature 4.
    """

    declares = Loss(
        teacher="stored",
        scale=Scale(1.0, "published alpha beside ce at 1; the authors' code divides by the number of teachers"),
        reads_labels=True,
        members=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # softmax temperature of all networks

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            logits = [member.logits for member in members_of(step)]
            return camkd(step.student.logits, logits, step.targets, temperature=self.temperature)

        return term
