"""Logit-adjusted cross-entropy (Menon et al., ICLR 2021, arXiv 2007.07314, eq. 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses._ce import ce
from autokd.losses.class_shares import class_shares, shares_of
from autokd.losses.common import precise
from autokd.ranges import Real
from autokd.types import BuildContext, PrepareContext, Step, Term


def logit_adjusted(student_logits: Tensor, targets: Tensor, shares: Tensor, *, strength: float = 1.0) -> Tensor:
    """Cross-entropy of logits to which the logarithm of each class's share is added.

    The logits alone, which answer later, then say which class is likeliest if all were equally common.

    Args:
      student_logits: [B, C].
      targets: [B] class indices, or [B, C] class probabilities.
      shares: [C], of the classes in the training set, above 0.
      strength: factor on the logarithm; 0 is cross-entropy.
    Returns:
      [B], nats, at least 0.
    Example:
      >>> logit_adjusted(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0.75, 0.25]))  # log 4
      tensor([1.3863])
    """
    logits = precise(student_logits)
    return ce(logits + strength * shares.to(logits.dtype).log(), targets)


class LogitAdjustedTerm(nn.Module):
    """`logit_adjusted` with the shares of the classes.

    Args:
      shares: [C].
      strength: factor on their logarithm.
    """

    shares: Tensor

    def __init__(self, shares: Tensor, strength: float) -> None:
        super().__init__()
        self.register_buffer("shares", shares, persistent=False)
        self.strength = strength

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        return logit_adjusted(step.student.logits, step.targets, self.shares, strength=self.strength)


@dataclass(frozen=True, kw_only=True)
class LogitAdjusted:
    """Cross-entropy that asks for a larger margin of rare classes, so that all count alike; in place of `ce`."""

    declares = Loss(
        teacher="none",
        reads_labels=True,
        replaces={"ce"},
        scale=Scale(1.0, "that of ce, in whose place it stands"),
        tunes=(),
        prepared_from=(),
    )

    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight of the labels beside the other losses
    strength: Annotated[float, Real(0.25, 2.0)] = 1.0  # factor on the logarithm of the classes' shares; published: 1

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return "shares" [C] of the classes among the known labels."""
        return {"shares": class_shares(context)}

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: nothing was prepared.
        """
        return LogitAdjustedTerm(shares_of(context, "logit_adjusted"), self.strength)
