"""Cross-entropy weighted by class (King & Zeng, Political Analysis 9, 2001, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.class_shares import ByClass, PreparesShares, shares_of
from autokd.losses.common import precise
from autokd.ranges import Real
from autokd.types import BuildContext, Term


def class_weights(shares: Tensor, power: float = 1.0) -> Tensor:
    """Return weights [C] that fall with the classes' shares to a power, 1 on the average over samples.

    >>> class_weights(torch.tensor([0.75, 0.25]))
    tensor([0.6667, 2.0000])

    Args:
      shares: [C], above 0, summing to 1.
      power: 0 for equal weights; 1 for the same total of every class.
    """
    weights = shares**-power
    return weights / (shares * weights).sum()


def weighted_ce(student_logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy in which each class has a weight.

    Args:
      student_logits: [B, C].
      targets: [B, C] class probabilities.
      weights: [C], above 0.
    Returns:
      [B], nats times weight, at least 0.
    Source: King & Zeng 2001, section 4.2 (weighting).
    Example:
      >>> weighted_ce(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), torch.tensor([0.5, 2.0]))  # 2 log 2
      tensor([1.3863])
    """
    logs = precise(student_logits).log_softmax(-1)
    return -(targets.to(logs.dtype) * weights.to(logs.dtype) * logs).sum(-1)


@dataclass(frozen=True, kw_only=True)
class WeightedCE(PreparesShares):
    """Cross-entropy in which a sample counts the more, the rarer its class is; in place of `ce`."""

    declares = Loss(
        teacher="none",
        reads_labels=True,
        replaces={"ce"},
        scale=Scale(1.0, "that of ce, in whose place it stands: the mean weight of a sample is 1"),
        tunes=(),
        prepared_from=(),
    )

    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight of the labels beside the other losses
    power: Annotated[float, Real(0.25, 1.0)] = 1.0  # weights are shares to this power, inverted; 1: classes count alike

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: nothing was prepared.
        """
        return ByClass(weighted_ce, class_weights(shares_of(context, "weighted_ce"), self.power))
