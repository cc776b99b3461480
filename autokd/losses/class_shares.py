"""How the labels of the training set are spread over the classes: what losses for rare classes prepare.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from autokd.errors import ComponentError
from autokd.types import BuildContext, PrepareContext, Step

OfClasses = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits [B, C], class probabilities [B, C], a number for each class [C]) -> loss [B]."""


class PreparesShares:
    """A loss that prepares the shares of the classes."""

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return "shares" [C] of the classes among the known labels."""
        return {"shares": class_shares(context)}


class ByClass(nn.Module):
    """A loss on labels with a number for each class.

    Args:
      loss: of logits, targets and these.
      numbers: [C].
    """

    numbers: Tensor

    def __init__(self, loss: OfClasses, numbers: Tensor) -> None:
        super().__init__()
        self.register_buffer("numbers", numbers, persistent=False)
        self._loss = loss

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        return self._loss(step.student.logits, step.targets, self.numbers)


def class_shares(context: PrepareContext) -> Tensor:
    """Return the share of each class among the known labels, [C] float32; of one without labels, of half a sample."""
    labels = context.labels if context.labelled is None else context.labels[context.labelled]
    counts = torch.bincount(labels, minlength=context.task.num_classes).float().clamp_min(0.5)
    return counts / counts.sum()


def shares_of(context: BuildContext, name: str) -> Tensor:
    """Return the shares that a loss has prepared, [C].

    Raises:
      ComponentError: nothing was prepared.
    """
    if context.artefact is None:
        raise ComponentError(f"loss {name!r} needs what its `prepare` returns as context.artefact, and there is none")
    shares: Tensor = context.artefact["shares"]
    return shares
