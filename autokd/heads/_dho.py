"""DHO, dual-head optimisation: one classifier learns from labels, one from the teacher (Kang et al. 2025).

Kang et al., Simple Yet Effective Semi-Supervised Knowledge Distillation via Dual-Head Optimization, arXiv 2505.07675.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Head
from autokd.errors import ComponentError
from autokd.networks.models import as_output, shapes_of
from autokd.ranges import Choice
from autokd.types import BuildContext, Output


def dual_head(labelled: Tensor, taught: Tensor, *, alpha: float = 0.5, beta: float = 0.5) -> Tensor:
    """Mix the answers of two classifiers: the logarithm of α softmax(labelled) + (1 − α) softmax(taught / β).

    >>> dual_head(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.25, 0.75]]).log(), alpha=0.5, beta=1.0).exp()
    tensor([[0.3750, 0.6250]])

    Args:
      labelled, taught: [B, C] logits.
      alpha: share of the first, in [0, 1].
      beta: temperature of the second, > 0.
    Returns:
      [B, C] log-probabilities.
    Source: Kang et al. 2025, section 3.
    """
    own, other = labelled.log_softmax(-1), (taught / beta).log_softmax(-1)
    if not 0 < alpha < 1:
        return own if alpha else other
    return torch.stack([own + math.log(alpha), other + math.log(1 - alpha)]).logsumexp(0)


class DualHeadStudent(nn.Module):
    """A student with a second classifier on its embedding.

    Args:
      student: [B, *input_shape] -> Output with an embedding; its own classifier is the one for labels.
      taught: the one for the teacher, [B, D] -> [B, C].
      alpha, beta: see `dual_head`.
    """

    def __init__(self, student: nn.Module, taught: nn.Linear, alpha: float, beta: float) -> None:
        super().__init__()
        self.student = student
        self.taught = taught
        self._alpha, self._beta = alpha, beta

    def forward(self, x: Tensor) -> Output:
        """Return both classifiers' logits in training, and otherwise their mixture."""
        output = as_output(self.student(x))
        assert output.pooled is not None, "the head is built on students with an embedding"
        taught = self.taught(output.pooled)
        if self.training:
            return output._replace(taught=taught)
        return output._replace(logits=dual_head(output.logits, taught, alpha=self._alpha, beta=self._beta))


@dataclass(frozen=True, kw_only=True)
class DHO:
    """Two classifiers on one embedding: one learns by `ce` from labels, one by `kd` from the teacher.

    So labels and teacher do not pull at the same weights, which they do most where few samples have labels. The student
    answers with a mixture of both. Losses that read the teacher's or a peer's answers see the second classifier, all
    others the first. Published: the plain sum of `ce` and `kd` at temperature 2, also with weights λ and 1 − λ of λ =
    0.5; alpha and beta 0.5, or chosen on validation, which is what a search does.
    """

    declares = Head(student_reads={"pooled"}, requires={"losses.kd"}, for_unlabelled=True)

    alpha: Annotated[float, Choice(0.25, 0.5, 0.75)] = 0.5  # share of the classifier that learns from labels
    beta: Annotated[float, Choice(0.5, 1.0, 2.0)] = 0.5  # temperature of the other one's answers

    def __post_init__(self) -> None:
        if not (0 <= self.alpha <= 1 and self.beta > 0):
            raise ValueError(f"expected alpha from 0 to 1 and beta above 0, got {self.alpha:g} and {self.beta:g}")

    def build(self, context: BuildContext) -> Callable[[nn.Module], nn.Module]:
        """Return what gives a student a second classifier.

        Raises:
          ComponentError: when it is called, if the student offers no embedding.
        """

        def wrap(student: nn.Module) -> nn.Module:
            width = shapes_of(student, context.task).pooled
            if width is None:
                raise ComponentError("head 'dho' reads pooled, and the student offers none; use head: plain")
            taught = nn.Linear(width, context.task.num_classes)
            return DualHeadStudent(student, taught, self.alpha, self.beta)

        return wrap
