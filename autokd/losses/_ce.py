"""Cross-entropy with the labels: what the student learns without a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def ce(student_logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the targets and the student's softmax.

    Args:
      student_logits: [B, C].
      targets: [B] class indices, or [B, C] class probabilities.
      label_smoothing: share of every target, in [0, 1), that is spread evenly over all classes.
    Returns:
      [B], nats; its minimum is the entropy of the (smoothed) targets.
    Source: label smoothing: Szegedy et al., CVPR 2016, arXiv 1512.00567, section 7.
    Example:
      >>> ce(torch.zeros(1, 4), torch.tensor([0]))  # log 4
      tensor([1.3863])
    """
    logits = precise(student_logits)
    targets = targets.to(logits.dtype) if targets.ndim == 2 else targets
    return F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)


@dataclass(frozen=True, kw_only=True)
class CE:
    """Cross-entropy with the labels, optionally smoothed."""

    declares = Loss(
        teacher="none",
        reads_labels=True,
        scale=Scale(1.0, "the unit that the other losses' published weights refer to"),
        tunes=(),
    )

    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight of the labels beside the other losses
    label_smoothing: Annotated[float, Real(0.0, 0.2)] = 0.0  # share of a target spread evenly over all classes

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""

        def term(step: Step) -> Tensor:
            return ce(step.student.logits, step.targets, label_smoothing=self.label_smoothing)

        return term
