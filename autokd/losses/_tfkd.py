"""Teacher-free regularisation, Tf-KD_reg (Yuan et al., CVPR 2020, arXiv 1909.11723)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, target_mask
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term


def tfkd(
    student_logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 20.0,
    confidence: float = 0.99,
    softmax_twice: bool = False,
) -> Tensor:
    """Divergence of the student's softmax from a made-up teacher, sure of the target class and even on the others.

    The made-up teacher is softened, the student is not, as in the authors' code. Softening is the power transform
    u^(1 / temperature), scaled to sum to 1: the softmax at that temperature of the logits log u. The authors' code
    takes the softmax of the probabilities u themselves (`softmax_twice`), which is next to uniform.

    Args:
      student_logits: [B, C] with C >= 2.
      targets: [B] class indices, or [B, C] class probabilities (their arg-max is the target class).
      temperature: of the made-up teacher, > 0.
      confidence: its probability of the target class before softening, in (0, 1).
      softmax_twice: soften as the authors' code does.
    Returns:
      [B], nats; 0 where the student answers as the softened made-up teacher does.
    Source: Yuan et al. 2020, the manually designed teacher, with the sum over classes (the authors' code takes the
      mean: its multiplier of 100 is 1 here at 100 classes).
    """
    student = precise(student_logits).log_softmax(-1)
    classes = student.shape[-1]
    rest = (1 - confidence) / (classes - 1)
    virtual = rest + (confidence - rest) * target_mask(targets, classes).to(student.dtype)
    softened = (virtual if softmax_twice else virtual.log()) / temperature
    return F.kl_div(student, softened.log_softmax(-1), reduction="none", log_target=True).sum(-1)


@dataclass(frozen=True, kw_only=True)
class TfKD:
    """A made-up teacher that is 99 % sure of the label: a regulariser akin to label smoothing, without a teacher.

    The method's other form, Tf-KD_self, is `kd` with a trained copy of the student as the teacher.
    """

    declares = Loss(
        teacher="none",
        reads_labels=True,
        scale=Scale(0.1, "published alpha, ResNet18 on CIFAR-100, beside ce at 0.9"),
    )

    weight: Annotated[float, Real(0.1, 20.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 40.0, log=True)] = 20.0  # of the made-up teacher
    softening: Annotated[str, Choice("power", "softmax")] = "power"  # softmax: of probabilities, as the authors' code

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B]."""
        twice = self.softening == "softmax"

        def term(step: Step) -> Tensor:
            return tfkd(step.student.logits, step.targets, temperature=self.temperature, softmax_twice=twice)

        return term
