"""Relational knowledge distillation (Park et al., CVPR 2019, arXiv 1904.05068)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, unit
from autokd.losses.relations import ZERO, matmul, pooled_term
from autokd.ranges import Real
from autokd.types import BuildContext, Term

_GROUP = 128
"""Samples among which all triplets are taken; their angles need the cube of it in memory."""


def rkd(
    student_features: Tensor, teacher_features: Tensor, *, distance_weight: float = 25.0, angle_weight: float = 50.0
) -> Tensor:
    """Smooth L1 distance of the two networks' distances in pairs, and of their angles in triplets, of samples.

    A batch statistic: it compares the samples of a batch with one another, so widths may differ. Distances are in units
    of their mean over the pairs that are apart. Samples at the same place span no direction: cosine 0, without
    gradient. A batch of one gives 0. In batches over 128, triplets are taken within near-equal groups of at most 128
    neighbours.

    Args:
      student_features: [B, D].
      teacher_features: [B, D']; no gradient reaches it.
      distance_weight: weight of the distances' mean over B² pairs, >= 0.
      angle_weight: weight of the angles' mean over B³ triplets, >= 0.
    Returns:
      Scalar without unit; 0 where the features agree up to translation, rotation and scale.
    Source: Park et al. 2019; means over all pairs and triplets, those with a sample twice included, as in
      the authors' code.
    Example:
      >>> line, triangle = torch.tensor([[0.0], [1.0], [2.0]]), torch.eye(3)
      >>> rkd(line, triangle, distance_weight=24.0, angle_weight=0.0)  # 24 (4 / 32 + 2 / 8) / 9
      tensor(1.)
    """
    student, teacher = precise(student_features), precise(teacher_features.detach())
    distance = F.smooth_l1_loss(_distances(student), _distances(teacher))
    groups = -(-len(student) // _GROUP)
    angles = [
        F.smooth_l1_loss(_angles(a), _angles(b))
        for a, b in zip(student.tensor_split(groups), teacher.tensor_split(groups), strict=True)
    ]
    return distance_weight * distance + angle_weight * torch.stack(angles).mean()


def _distances(features: Tensor) -> Tensor:
    """Distances of all pairs over their mean, [B, B]."""
    found = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    mean = found.sum() / (found > 0).sum().clamp_min(1)
    return torch.where(mean > 0, found / mean.clamp_min(ZERO), 0.0)


def _angles(features: Tensor) -> Tensor:
    """Cosines of the angles at sample i between samples j and k, [B, B, B]."""
    directions = unit(features - features[:, None], epsilon=ZERO)
    return matmul(directions, directions.mT)


@dataclass(frozen=True, kw_only=True)
class RKD:
    """The student's embedding has the shape of the teacher's: distances in pairs and angles in triplets of samples."""

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(1.0, "published: the two weights below are the weights, beside ce at 1"),
        batch_statistic=True,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    distance_weight: Annotated[float, Real(5.0, 100.0, log=True)] = 25.0  # weight of the distances in pairs
    angle_weight: Annotated[float, Real(5.0, 100.0, log=True)] = 50.0  # weight of the angles in triplets

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        return pooled_term(self._loss, context, "rkd")

    def _loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return rkd(student, teacher, distance_weight=self.distance_weight, angle_weight=self.angle_weight)
