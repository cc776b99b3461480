"""DHO, dual-head optimisation: one classifier learns from labels, one from the teacher (Kang et al. 2025).

Kang et al., Simple Yet Effective Semi-Supervised Knowledge Distillation via Dual-Head Optimization, arXiv 2505.07675.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from autokd.declarations import Head
from autokd.errors import ComponentError
from autokd.networks.models import as_output, shapes_of
from autokd.ranges import Choice
from autokd.types import BuildContext, Inputs, Output

ALPHAS, BETAS = tuple(step / 20 for step in range(21)), (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0)
"""From which alpha and beta are chosen: the authors' grid."""
_LEAST = 1e-6
"""Share of a classifier that has none."""


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
        output, taught = self.both(x)
        if self.training:
            return output._replace(taught=taught)
        return output._replace(logits=self.mixed(output.logits, taught))

    def both(self, x: Inputs) -> tuple[Output, Tensor]:
        """Return the student's output, whose logits are the first classifier's, and the second one's logits."""
        output = as_output(self.student(x))
        assert output.pooled is not None, "the head is built on students with an embedding"
        return output, self.taught(output.pooled)

    def mixed(self, labelled: Tensor, taught: Tensor) -> Tensor:
        """Return the mixture of both classifiers' logits."""
        return dual_head(labelled, taught, alpha=self._alpha, beta=self._beta)


class ChosenMixture(DualHeadStudent):
    """One that chooses alpha and beta on samples that it was not trained on; both are 0.5 until then.

    Args:
      student, taught: as above.
      alphas, betas: to choose from.
    """

    def __init__(self, student: nn.Module, taught: nn.Linear, alphas: Sequence[float], betas: Sequence[float]) -> None:
        super().__init__(student, taught, 0.5, 0.5)
        self._choices = [(alpha, beta) for alpha in alphas for beta in betas]
        middle = min(self._choices, key=lambda choice: (abs(choice[0] - 0.5), abs(choice[1] - 0.5)))
        self.register_buffer("mixture", torch.tensor(middle))

    def mixed(self, labelled: Tensor, taught: Tensor) -> Tensor:
        """Return the mixture of both classifiers' logits."""
        alpha, beta = self.get_buffer("mixture").unbind()
        shares = torch.stack([alpha, 1 - alpha]).clamp(min=_LEAST).log()
        parts = torch.stack([labelled.log_softmax(-1), (taught / beta).log_softmax(-1)], -1)
        return (parts + shares).logsumexp(-1)

    def settle(self, inputs: Iterable[Inputs], labels: Tensor) -> None:
        """Take the alpha and beta of the least cross-entropy; see `autokd.networks.settling.Settling`."""
        outputs = [(output.logits, other) for output, other in map(self.both, inputs)]
        labelled, taught = map(torch.cat, zip(*outputs, strict=True))
        losses = [cross_entropy(dual_head(labelled, taught, alpha=a, beta=b), labels) for a, b in self._choices]
        best = self._choices[int(torch.stack(losses).argmin())]
        self.get_buffer("mixture").copy_(torch.tensor(best))


@dataclass(frozen=True, kw_only=True)
class DHO:
    """Two classifiers on one embedding: one learns by `ce` from labels, one by `kd` from the teacher.

    So labels and teacher do not pull at the same weights, which they do most where few samples have labels. The student
    answers with a mixture of both. Losses that read the teacher's or a peer's answers see the second classifier, all
    others the first. Published: the plain sum of `ce` and `kd` at temperature 2, also with weights λ and 1 − λ of λ =
    0.5; alpha and beta 0.5, or chosen on validation once the student is trained. A search draws them, or finds them on
    validation where they are None: those of the least cross-entropy. The authors take those of the best accuracy, which
    says more than it keeps where validation is small (docs/benchmarks.md).
    """

    declares = Head(student_reads={"pooled"}, requires={"losses.kd"}, for_unlabelled=True)

    alpha: Annotated[float | None, Choice(0.25, 0.5, 0.75)] = 0.5  # share of the labels' classifier; None: chosen
    beta: Annotated[float | None, Choice(0.5, 1.0, 2.0)] = 0.5  # temperature of the other's answers; None: chosen

    def __post_init__(self) -> None:
        alpha, beta = (0.5 if each is None else each for each in (self.alpha, self.beta))
        if not (0 <= alpha <= 1 and beta > 0):
            raise ValueError(f"expected alpha from 0 to 1 and beta above 0, got {alpha:g} and {beta:g}")

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
            if self.alpha is not None and self.beta is not None:
                return DualHeadStudent(student, taught, self.alpha, self.beta)
            alphas = ALPHAS if self.alpha is None else (self.alpha,)
            return ChosenMixture(student, taught, alphas, BETAS if self.beta is None else (self.beta,))

        return wrap
