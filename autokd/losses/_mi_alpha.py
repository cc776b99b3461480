"""MI-alpha: a bound on mutual information, from low bias to low variance (Distiller, He et al. 2021, arXiv 2109.11105).

The bound is the interpolation of Poole et al., ICML 2019, arXiv 1905.06922.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise
from autokd.losses.pairing import offered
from autokd.losses.projectors import mlp
from autokd.losses.relations import matmul, pooled_of
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

_MOST = 20.0  # score of the critic, in either direction: the bound has no upper limit where the baseline is bad


def mi_alpha(scores: Tensor, log_baseline: Tensor, *, alpha: float = 0.9) -> Tensor:
    """Negative lower bound on the mutual information of two variables, from a critic's scores of their pairs.

    A batch statistic: the other samples of the batch stand for the product of the marginals. alpha = 1 is a
    leave-one-out InfoNCE bound, of low variance and at most log(B - 1); alpha = 0 is the TUBA bound, of high variance
    and not limited (with a log-baseline of 1 it is the NWJ bound). A batch of one gives 0.

    Args:
      scores: [B, B], row i and column j the critic's score of teacher sample i with student sample j.
      log_baseline: [B], logarithm of the baseline of row i.
      alpha: weight of the batch's own normaliser against the baseline, in [0, 1].
    Returns:
      Scalar, nats, minus the bound; may be negative.
    Source: Poole et al. 2019, interpolated bound, as in Distiller's code. The rows are the teacher's, so that the
      baseline is a function of the row.
    """
    scores, log_baseline = precise(scores), precise(log_baseline)
    count = len(scores)
    if count == 1:
        return 0 * (scores.sum() + log_baseline.sum())
    diagonal = torch.eye(count, dtype=torch.bool, device=scores.device)
    batch = _log_mean_of_others(scores)
    baseline = torch.logaddexp(_log(alpha) + batch, _log(1 - alpha) + log_baseline[:, None])
    joint = (scores.diagonal()[:, None] - baseline).masked_fill(diagonal, 0.0).sum() / (count * (count - 1))
    product = (scores - baseline.diagonal()[:, None]).masked_fill(diagonal, -math.inf)
    marginal = (product.logsumexp((0, 1)) - math.log(count * (count - 1))).exp()
    return marginal - joint - 1


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _log_mean_of_others(scores: Tensor) -> Tensor:
    """Entry i, j: log-mean-exp of row i without column j, [B, B].

    Leaving out a term by subtraction is exact enough unless it is the largest, which is left out before the sum.
    """
    largest = torch.zeros_like(scores, dtype=torch.bool).scatter(1, scores.argmax(1, keepdim=True), True)
    total = scores.logsumexp(1, keepdim=True)
    smaller = total + torch.log1p(-(scores - total).masked_fill(largest, -math.inf).exp())
    without_largest = scores.masked_fill(largest, -math.inf).logsumexp(1, keepdim=True)
    return torch.where(largest, without_largest, smaller) - math.log(scores.shape[1] - 1)


class MITerm(nn.Module):
    """A critic, the inner product of a perceptron of each network's pooled embedding, and a baseline of the teacher's.

    Args:
      student_width, teacher_width: of the pooled embeddings.
      hidden: units of the perceptrons.
      width: of the space in which the two meet.
      alpha: of the bound.
    """

    def __init__(self, student_width: int, teacher_width: int, hidden: int, width: int, alpha: float) -> None:
        super().__init__()
        self.student_encoder = mlp(student_width, hidden, width)
        self.teacher_encoder = mlp(teacher_width, hidden, width)
        self.baseline = mlp(teacher_width, hidden, 1)
        self.alpha = alpha

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, a scalar."""
        student, teacher = pooled_of(step)
        scores = matmul(self.teacher_encoder(teacher), self.student_encoder(student).T)
        baseline = self.baseline(teacher)[:, 0]
        return mi_alpha(scores.clamp(-_MOST, _MOST), baseline.clamp(-_MOST, _MOST), alpha=self.alpha)


@dataclass(frozen=True, kw_only=True)
class MIAlpha:
    """The student's embedding tells as much as possible of the teacher's, by a bound that a learned critic gives.

    The critic is the perceptron of the released code. That code takes alpha for its logit, so its 0.1 to 1.0 is 0.52 to
    0.73 here; `legacy_logit` does the same. May be negative.
    """

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(1.0, "published weight of the intermediate loss beside the prediction loss at 1"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    alpha: Annotated[float, Real(0.05, 0.99)] = 0.9  # 1: InfoNCE-like, low variance; 0: TUBA-like, not limited
    width: Annotated[int, Choice(16, 32, 64, 128)] = 64  # of the space in which the two networks' codes meet
    hidden: int = 128  # units of the critic's perceptrons
    legacy_logit: bool = False  # take alpha for the logit of what it means, as the released code does

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar, as a module whose critic and baseline train along.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        student, teacher = (shapes.pooled for shapes in offered(context, "mi_alpha", "pooled"))
        assert student is not None and teacher is not None
        alpha = 1 / (1 + math.exp(-self.alpha)) if self.legacy_logit else self.alpha
        return MITerm(student, teacher, self.hidden, self.width, alpha)
