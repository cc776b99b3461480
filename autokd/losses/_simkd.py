"""SimKD: the last feature matches what the teacher's classifier reads (Chen et al., CVPR 2022, arXiv 2203.14001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses.common import precise
from autokd.losses.pairing import match, same_rank, summed
from autokd.losses.projectors import to_smaller
from autokd.ranges import Real
from autokd.types import BuildContext, Term


def simkd(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of two maps with the same channels; the larger one is average-pooled to the smaller.

    Args:
      student_map: [B, c, h, w] or [B, c], already projected to the teacher's channels.
      teacher_map: [B, c, h', w'] or [B, c]; no gradient reaches it.
    Returns:
      [B], the mean over all but the batch, in squared units of the features; 0 where they agree.
    Source: Chen et al. 2022, section 3.2, as a mean.
    """
    student, teacher = precise(student_map), precise(teacher_map.detach())
    if student.ndim == 4:
        student, teacher = to_smaller(student, teacher)
    return (student - teacher).square().flatten(1).mean(-1)


@dataclass(frozen=True, kw_only=True)
class SimKD:
    """The last feature of a student with the head `simkd` matches the teacher's last feature; labels are not read.

    The head answers with the teacher's classifier, so a student that matches is right where the teacher is. Published
    alone, without `ce`; beside `ce` the student also learns from the labels, through the frozen classifier.
    """

    declares = Loss(
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(1.0, "published weight"),
        requires={"head.simkd"},
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: a network offers no features, or the last ones differ in channels, as without the head.
        """
        pair = same_rank(match(context, "simkd", "last"), "simkd")
        student, teacher = pair[0].student_shape, pair[0].teacher_shape
        if student[0] != teacher[0]:
            raise ComponentError(
                f"loss 'simkd' compares features of equally many channels, the student's has {student[0]} and the "
                f"teacher's {teacher[0]}; use it with head: simkd"
            )
        return summed(simkd, pair)
