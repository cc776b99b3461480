"""FitNets: hints from an intermediate layer (Romero et al., ICLR 2015, arXiv 1412.6550, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.errors import ComponentError
from autokd.losses.common import feature_shapes, precise, teacher_of
from autokd.ranges import Choice, Real
from autokd.types import ANY, BuildContext, Step, Term

Shape = tuple[int, ...]


def hint(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference of two feature maps of the same shape.

    Args:
      student_map: [B, …], already regressed to the teacher's shape.
      teacher_map: [B, …]; no gradient reaches it.
    Returns:
      [B], the mean over all but the batch, in squared units of the features; 0 where they agree.
    Source: Romero et al. 2015, eq. 3, with the mean in place of half the sum.
    """
    difference = precise(student_map) - precise(teacher_map.detach())
    return difference.square().flatten(1).mean(-1)


class HintTerm(nn.Module):
    """The hint loss at one stage, with the regressor that brings the student's features to the teacher's shape.

    Args:
      student_shape, teacher_shape: of one sample's features: (c, h, w), or (d,) in both.
      student_stage, teacher_stage: indices into the features.
      relu: end a regressor of maps in a ReLU.
    """

    def __init__(
        self, student_shape: Shape, teacher_shape: Shape, student_stage: int, teacher_stage: int, *, relu: bool
    ) -> None:
        super().__init__()
        self.student_stage = student_stage
        self.teacher_stage = teacher_stage
        self.regressor = _regressor(student_shape, teacher_shape, relu=relu)

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        student_map = precise(step.student.features[self.student_stage])
        return hint(self.regressor(student_map), teacher_of(step).features[self.teacher_stage])


class Resize(nn.Module):
    """Average pooling to any size, smaller or larger, as two fixed matrices: deterministic on every device.

    Args:
      before, after: (height, width).
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Shape, after: Shape) -> None:
        super().__init__()
        rows, columns = (F.adaptive_avg_pool1d(torch.eye(n), m).T for n, m in zip(before, after, strict=True))
        self.register_buffer("rows", rows.contiguous(), persistent=False)
        self.register_buffer("columns", columns.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, c, *before] to [B, c, *after]."""
        return self.rows @ x @ self.columns.T


def _regressor(student: Shape, teacher: Shape, *, relu: bool) -> nn.Module:
    """Linear for vectors; convolution, batch normalisation (unless a map is one pixel) and ReLU for maps."""
    if len(student) == 1:
        return nn.Linear(student[0], teacher[0])
    one_pixel = teacher[1] * teacher[2] == 1
    norm = [] if one_pixel else [nn.BatchNorm2d(teacher[0])]
    return nn.Sequential(*_convolution(student, teacher, bias=one_pixel), *norm, *([nn.ReLU()] if relu else []))


def _convolution(student: Shape, teacher: Shape, *, bias: bool) -> list[nn.Module]:
    """Layers from a student's map to a teacher's, for every ratio of their sizes."""
    before, after = student[1:], teacher[1:]
    if before == tuple(2 * size for size in after):
        return [nn.Conv2d(student[0], teacher[0], 3, stride=2, padding=1, bias=bias)]
    if after == tuple(2 * size for size in before):
        return [nn.ConvTranspose2d(student[0], teacher[0], 4, stride=2, padding=1, bias=bias)]
    resize: list[nn.Module] = [] if before == after else [Resize(before, after)]
    return [*resize, nn.Conv2d(student[0], teacher[0], 1, bias=bias)]


def _stage_index(stage: str, count: int) -> int:
    """Index of the last stage, or of the middle one (the shallower of two)."""
    return count - 1 if stage == "last" else (count - 1) // 2


@dataclass(frozen=True, kw_only=True)
class Hint:
    """The student's features, through a learned regressor, match the teacher's at the same relative depth.

    Trained jointly with the other losses (the paper trains the hint first). The regressor is no part of the student.
    """

    modalities = ANY
    teacher = "live"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    batch_statistic = False
    min_classes = 2
    excludes: ClassVar[frozenset[str]] = frozenset()
    requires: ClassVar[frozenset[str]] = frozenset()
    scale: ClassVar[float] = 100.0  # weight in the joint form of the CRD benchmark (Tian et al., ICLR 2020)

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stage: Annotated[str, Choice("middle", "last")] = "middle"  # relative depth of the features, in both networks
    relu: bool = True  # end the regressor of maps in a ReLU; off for a teacher whose maps go below 0

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose regressor trains along.

        Raises:
          ComponentError: a network offers no features, or one offers maps and the other vectors.
        """
        student, teacher = (shapes.features for shapes in feature_shapes(context, "hint"))
        i, j = _stage_index(self.stage, len(student)), _stage_index(self.stage, len(teacher))
        if len(student[i]) != len(teacher[j]):
            raise ComponentError(
                f"loss 'hint' cannot match student features of shape {student[i]} to the teacher's {teacher[j]}; "
                "both need to be maps (c, h, w) or both vectors (d,)"
            )
        return HintTerm(student[i], teacher[j], i, j, relu=self.relu)
