"""Universal self-knowledge distillation (Yang et al., ICCV 2023, arXiv 2303.13005): soft labels without a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses._ce import ce
from autokd.losses.common import class_index, log_softmax_of_others, over_positions, precise, target_mask
from autokd.ranges import Real
from autokd.types import BuildContext, Shapes, Step, Term

_EPSILON = 1e-6  # added to probabilities left for the other classes, as in the authors' code
_SMOOTHING = 0.1  # label smoothing of the weak classifier's own loss, as in the authors' code


class Weights(NamedTuple):
    """Weights of the three parts of `uskd`, >= 0.

    Args:
      alpha: of the target's part.
      beta: of the other classes' part.
      mu: of the weak classifier's part.
    """

    alpha: float = 0.1
    beta: float = 0.1
    mu: float = 0.1


_DEFAULT_WEIGHTS = Weights()


def uskd(
    student_logits: Tensor,
    weak_logits: Tensor,
    targets: Tensor,
    *,
    weights: Weights = _DEFAULT_WEIGHTS,
    legacy_rank: bool = False,
) -> Tensor:
    """Soft labels that a network makes for itself, for the target class and for the others.

    Target: -P log p(y) with the weight P = p(y)² + 1 - mean over the batch of p(y)², whose mean is 1. Others: the
    cross-entropy among the non-target classes with labels proportional to 1 / rank; ranks add the probabilities of the
    final and of the weak classifier, each relative to what it leaves the other classes. Weights and ranks carry no
    gradient. The weak classifier learns by cross-entropy with labels smoothed by 0.1.

    Args:
      student_logits: [B, C] with C >= 2.
      weak_logits: [B, C], of a classifier on a middle feature.
      targets: [B] class indices, or [B, C] class probabilities (their arg-max is the target class, with label 1).
      weights: of the target's, the others' and the weak classifier's part.
      legacy_rank: rank by the final classifier's log-probabilities, as the authors' code does.
    Returns:
      [B], nats, although the weights of the target part are relative to the batch's mean.
    Source: Yang et al. 2023, the USKD loss. Of equal ranks the lower class index comes first.
    """
    student, weak = precise(student_logits), precise(weak_logits)
    is_target = target_mask(targets, student.shape[-1])
    log_target = (student.log_softmax(-1) * is_target).sum(-1)
    labels = _labels_of_others(student.detach(), weak.detach(), is_target, legacy_rank=legacy_rank)
    others_part = -(labels * log_softmax_of_others(student, is_target)).sum(-1)
    weak_part = ce(weak, class_index(targets), label_smoothing=_SMOOTHING)
    target_part = -weights.alpha * _target_weight(log_target.detach()) * log_target
    return target_part + weights.beta * others_part + weights.mu * weak_part


def _target_weight(log_target: Tensor) -> Tensor:
    """Weights of the target's log-probabilities, [B], with mean 1."""
    squares = (2 * log_target).exp()
    return squares + 1 - squares.mean()


def _labels_of_others(student: Tensor, weak: Tensor, is_target: Tensor, *, legacy_rank: bool) -> Tensor:
    """Zipf's law over the ranks of the non-target classes, [B, C]; 0 at the target, rows sum to 1."""
    final = student.log_softmax(-1) if legacy_rank else student.softmax(-1)
    score = _relative(weak.softmax(-1), is_target) + _relative(final, is_target)
    rank = score.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1) + 1
    zipf = (1 / rank.to(score.dtype)).masked_fill(is_target, 0.0)
    return zipf / zipf.sum(-1, keepdim=True)


def _relative(x: Tensor, is_target: Tensor) -> Tensor:
    return x / (1 - (x * is_target).sum(-1, keepdim=True) + _EPSILON)


class USKDTerm(nn.Module):
    """`uskd` with its weak classifier, linear on the mean over positions of one of the student's features.

    Args:
      shapes: what the student offers, with at least one feature.
      classes: number of classes.
      component: the weights.
    """

    def __init__(self, shapes: Shapes, classes: int, component: USKD) -> None:
        super().__init__()
        self.stage = max(len(shapes.features) - 2, 0)
        feature = shapes.features[self.stage]
        self.classifier = nn.Linear(feature[-1] if len(feature) == 2 else feature[0], classes)
        self.component = component

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        weak_logits = self.classifier(over_positions(precise(step.student.features[self.stage]), step.student.mask))
        c = self.component
        return uskd(
            step.student.logits,
            weak_logits,
            step.targets,
            weights=Weights(c.alpha, c.beta, c.mu),
            legacy_rank=c.legacy_rank,
        )


@dataclass(frozen=True, kw_only=True)
class USKD:
    """Soft labels from the student's own answer and from a weak classifier on its last stage but one.

    The weak classifier trains along and is no part of the student; its gradient reaches the student's early stages.
    """

    declares = Loss(
        teacher="none",
        reads_labels=True,
        student_reads={"features"},
        scale=Scale(1.0, "published: alpha, beta and mu are the weights, beside ce at 1"),
        batch_statistic=False,  # one loss a sample, though the target's weight is relative to the batch's mean
        min_classes=3,  # with two classes there is nothing to rank
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    alpha: Annotated[float, Real(0.05, 2.0, log=True)] = 0.1  # weight of the target part; 1 for ImageNet
    beta: Annotated[float, Real(0.02, 0.5, log=True)] = 0.1  # weight of the other classes' part
    mu: Annotated[float, Real(0.001, 0.2, log=True)] = 0.1  # weight of the weak classifier's; 0.005 for ImageNet
    legacy_rank: bool = False  # rank by log-probabilities, as the authors' code does

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose weak classifier trains along.

        Raises:
          ComponentError: the student offers no features.
        """
        if context.student is None or not context.student.features:
            raise ComponentError("loss 'uskd' reads a feature of the student, which offers none; use a loss on logits")
        return USKDTerm(context.student, context.task.num_classes, self)
