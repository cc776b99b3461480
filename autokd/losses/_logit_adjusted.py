"""Logit-adjusted cross-entropy (Menon et al., ICLR 2021, arXiv 2007.07314, eq. 10)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses._ce import ce
from autokd.losses.class_shares import ByClass, PreparesShares, shares_of
from autokd.losses.common import precise
from autokd.ranges import Real
from autokd.types import BuildContext, Term


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
    Source: Menon et al., ICLR 2021, arXiv 2007.07314, eq. 10.
    Example:
      >>> logit_adjusted(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0.75, 0.25]))  # log 4
      tensor([1.3863])
    """
    logits = precise(student_logits)
    return ce(logits + strength * shares.to(logits.dtype).log(), targets)


@dataclass(frozen=True, kw_only=True)
class LogitAdjusted(PreparesShares):
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

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: nothing was prepared.
        """
        loss = functools.partial(logit_adjusted, strength=self.strength)
        return ByClass(loss, shares_of(context, "logit_adjusted"))
