"""Multi-level logit distillation (Jin, Wang and Lin, CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses._kd import kd
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

_TEMPERATURES = {"4": (4.0,), "2,4,6": (2.0, 4.0, 6.0), "2 to 6": (2.0, 3.0, 4.0, 5.0, 6.0)}


def mlkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperatures: Sequence[float] = (2.0, 3.0, 4.0, 5.0, 6.0),
    masked: bool = False,
) -> Tensor:
    """Agreement at three levels, summed over several temperatures: of samples, of batches, of classes.

    At each temperature: the mean of `kd`; the squared distance of the sample-by-sample inner products of the
    probabilities, over B; and that of the class-by-class inner products, over C. A batch statistic. The paper trains on
    a weakly and a strongly augmented view of each image; this is the loss on one view, whichever it is.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperatures: softmax temperatures, > 0.
      masked: count only what the teacher is less sure of: samples up to the median of its highest probability at
        temperature 1 in the first level, and in the second where both are; in the third pairs of classes up to the
        median of its total probability. The division stays by B and C.
    Returns:
      Scalar, nats plus squared probabilities; 0 where the logits agree up to a constant a sample.
    Source: Jin et al. 2023. How the masks enter the second and third level is our reading. The authors' code
      multiplies averaged losses by the masks, which is a constant factor of about 1/2.
    """
    student, teacher = precise(student_logits), precise(teacher_logits.detach())
    samples, classes = _doubtful(teacher) if masked else (torch.ones_like(teacher[:, 0]), torch.ones_like(teacher[0]))
    return sum(
        (
            (samples * kd(student, teacher, temperature=temperature)).mean()
            + _relation((student / temperature).softmax(-1), (teacher / temperature).softmax(-1), samples)
            + _relation((student / temperature).softmax(-1).T, (teacher / temperature).softmax(-1).T, classes)
            for temperature in temperatures
        ),
        start=student.new_zeros(()),
    )


def _doubtful(teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Ones for the samples [B] and the classes [C] that the teacher is less sure of, zeros for the others."""
    probabilities = teacher_logits.softmax(-1)
    confidence, mass = probabilities.amax(-1), probabilities.sum(0)
    samples, classes = (x <= x.quantile(0.5) for x in (confidence, mass))
    return samples.to(probabilities.dtype), classes.to(probabilities.dtype)


def _relation(student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    """Squared distance of the inner products of all pairs of counted rows, over the number of rows."""
    with torch.autocast(student.device.type, enabled=False):
        difference = student @ student.T - teacher @ teacher.T
    return (counted[:, None] * counted * difference.square()).sum() / len(difference)


@dataclass(frozen=True, kw_only=True)
class MLKD:
    """The teacher's softened answers at several temperatures, and their relations between samples and between classes.

    The paper uses two views of each image, weakly and strongly augmented; here both networks see the one view that the
    pipeline's augmentation makes. The third level compares sums over the batch: it grows as B², and from 100 classes,
    for which the published weight was chosen, to 10 about a thousandfold, so that few classes want a lower weight.
    """

    declares = Loss(
        teacher="stored",
        scale=Scale(0.45, "published 0.9, times the half that masks leave of it in the authors' code"),
        batch_statistic=True,
        excludes={"kd"},  # its first level
    )

    weight: Annotated[float, Real(0.03, 3.0, log=True)] = 1.0  # relative to its own scale; few classes want less
    temperatures: Annotated[str, Choice("4", "2,4,6", "2 to 6")] = "2 to 6"  # softmax temperatures, summed over
    masked: Annotated[bool, Choice(False, True)] = False  # count only what the teacher is less sure of

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar."""
        temperatures = _TEMPERATURES[self.temperatures]

        def term(step: Step) -> Tensor:
            return mlkd(step.student.logits, teacher_of(step).logits, temperatures=temperatures, masked=self.masked)

        return term
