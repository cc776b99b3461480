"""One-for-all distillation (Hao et al., NeurIPS 2023, arXiv 2310.19444): exits of the student learn teacher logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses.common import precise, target_mask, teacher_of
from autokd.losses.exits import exit_from, leave_by
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

_MOST_EXITS = 4  # stages of the paper's networks


def ofa(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """Soft cross-entropy whose coefficients stress the target class: (p_teacher + 1[target])^gamma - 1[target].

    With gamma = 1 this is the cross-entropy with the teacher's softmax. The exponent acts on the other classes too,
    whose coefficients it lowers to p_teacher^gamma.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      targets: [B] class indices, or [B, C] class probabilities (their arg-max is the target class).
      temperature: softmax temperature of both networks, > 0; the result is not scaled by it.
      gamma: exponent, >= 1.
    Returns:
      [B], nats. A cross-entropy: least where the student's softmax is proportional to the coefficients.
    Source: Hao et al. 2023, the adaptive target loss, in the form of the authors' code.
    """
    student = (precise(student_logits) / temperature).log_softmax(-1)
    teacher = (precise(teacher_logits.detach()) / temperature).softmax(-1)
    hit = target_mask(targets, student.shape[-1]).to(teacher.dtype)
    return -(((teacher + hit) ** gamma - hit) * student).sum(-1)


class OFATerm(nn.Module):
    """`ofa` at the final logits and at exits behind some of the student's stages.

    Args:
      exits: stage -> layers from its activations to logits [B, C].
      component: exponent, temperature and weight of the exits.
    """

    def __init__(self, exits: dict[int, nn.Module], component: OFA) -> None:
        super().__init__()
        self.exits = nn.ModuleDict({str(stage): layers for stage, layers in exits.items()})
        self.component = component

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        total = self._loss(step.student.logits, step)
        for stage, layers in self.exits.items():
            activations = precise(step.student.features[int(stage)])
            total = total + self.component.exit_weight * self._loss(
                leave_by(layers, activations, step.student.mask), step
            )
        return total

    def _loss(self, logits: Tensor, step: Step) -> Tensor:
        c = self.component
        return ofa(logits, teacher_of(step).logits, step.targets, temperature=c.temperature, gamma=c.gamma)


def exit_stages(which: str, count: int) -> tuple[int, ...]:
    """Return the stages with an exit: "all" (of more than four, the ends of four equal parts), "skip", "last", "none".

    Args:
      which: "skip" is every second of "all", counted back from the last.
      count: number of the student's stages.
    """
    ends = tuple(sorted({math.ceil(count * part / _MOST_EXITS) - 1 for part in range(1, _MOST_EXITS + 1)}))
    return {"all": ends, "skip": ends[::-2][::-1], "last": ends[-1:], "none": ()}[which]


@dataclass(frozen=True, kw_only=True)
class OFA:
    """The student's stages, each through an exit of its own, and its final logits learn the teacher's logits.

    For pairs of unlike architectures: only logits meet. The exits train along and are no part of the student; their
    gradient reaches its stages. They are as wide as the student (the authors' code: as the teacher, if that is wider).
    The authors weight final logits and exits apart; here the ratio is `exit_weight`.
    """

    declares = Loss(
        teacher="stored",
        reads_labels=True,
        student_reads={"features"},
        scale=Scale(1.0, "published: all parts at 1, beside ce at 1"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    gamma: Annotated[float, Real(1.0, 2.0)] = 1.0  # exponent that stresses the target class; 1.5 for ImageNet
    stages: Annotated[str, Choice("none", "last", "skip", "all")] = "all"  # stages of the student with an exit
    exit_weight: Annotated[float, Real(0.3, 3.0, log=True)] = 1.0  # weight of each exit beside the final logits
    temperature: float = 1.0  # softmax temperature of both networks; 1 in the paper

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose exits train along.

        Raises:
          ComponentError: exits are asked for, and the student offers no features.
        """
        shapes = () if context.student is None else context.student.features
        if self.stages != "none" and not shapes:
            raise ComponentError(
                f"loss 'ofa' with stages: {self.stages} reads features, and the student offers none; use stages: none"
            )
        exits = {
            stage: exit_from(shapes, stage, classes=context.task.num_classes)
            for stage in exit_stages(self.stages, len(shapes))
        }
        return OFATerm(exits, self)
