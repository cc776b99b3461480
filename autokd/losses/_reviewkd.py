"""ReviewKD: distillation via knowledge review (Chen et al., CVPR 2021, arXiv 2104.09044)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.losses.pairing import Match, match, offered
from autokd.losses.projectors import BatchNorm
from autokd.networks.pooling import average_pool
from autokd.ranges import Choice, Real
from autokd.types import IMAGE, BuildContext, Step, Term

_LEVELS = (4, 2, 1)  # sides that maps are pooled to, each counting half as much as the one before


def reviewkd(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Hierarchical context loss: mean squared difference at full size and at the pooled sizes 4, 2 and 1.

    Args:
      student_map: [B, c, h, w], already of the teacher's shape.
      teacher_map: [B, c, h, w]; no gradient reaches it.
    Returns:
      [B], in squared units of the features: the levels' mean with weights 1, 1/2, 1/4, 1/8 over their sum, of those
      smaller than the map; 0 where the maps agree.
    Source: Chen et al. 2021; pooled sizes and weights are those of the authors' code.
    """
    student, teacher = precise(student_map), precise(teacher_map.detach())
    height, width = student.shape[2:]
    smaller = [level for level in _LEVELS if level < height]
    total = _mean_square(student - teacher)
    for number, level in enumerate(smaller, start=1):
        size = (level, min(level, width))
        total = total + _mean_square(average_pool(student, size) - average_pool(teacher, size)) / 2**number
    return total / (2 - 0.5 ** len(smaller))


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().flatten(1).mean(-1)


class Fusion(nn.Module):
    """Attention-based fusion of a student stage with what came of the deeper ones.

    Args:
      inputs: channels of the student stage.
      width: channels of what is passed on.
      target: shape (c, h, w) of the teacher's map.
      fuse: there is a deeper stage.
    """

    def __init__(self, inputs: int, width: int, target: tuple[int, ...], *, fuse: bool) -> None:
        super().__init__()
        self.size = target[1:]
        into, out = nn.Conv2d(inputs, width, 1, bias=False), nn.Conv2d(width, target[0], 3, padding=1, bias=False)
        for convolution in (into, out):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
        self.enter = nn.Sequential(into, BatchNorm(width))
        self.leave = nn.Sequential(out, BatchNorm(target[0]))
        self.attend = nn.Sequential(nn.Conv2d(2 * width, 2, 1), nn.Sigmoid()) if fuse else None

    def forward(self, x: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what is compared with the teacher's map, [B, *target], and what is passed on to shallower stages."""
        x = self.enter(x)
        if self.attend is not None and deeper is not None:
            deeper = _nearest(deeper, x.shape[2:])
            share = self.attend(torch.cat([x, deeper], 1))
            x = x * share[:, :1] + deeper * share[:, 1:]
        x = _nearest(x, self.size)
        return self.leave(x), x


def _nearest(x: Tensor, size: tuple[int, ...]) -> Tensor:
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="nearest")


class ReviewTerm(nn.Module):
    """The review, from the pooled embedding up to the shallowest stage.

    Args:
      matches: the pairs of stages, shallow to deep.
      student_width, teacher_width: of the pooled embeddings.
      width: channels of what is passed from stage to stage.
      warmup: share of training over which the loss rises linearly from 0.
    """

    def __init__(
        self, matches: tuple[Match, ...], student_width: int, teacher_width: int, width: int, warmup: float
    ) -> None:
        super().__init__()
        self.matches = tuple(sorted(matches, key=lambda pair: -pair.student))
        self.warmup = warmup
        self.first = Fusion(student_width, width, (teacher_width, 1, 1), fuse=False)
        self.rest = nn.ModuleList(
            Fusion(pair.student_shape[0], width, pair.teacher_shape, fuse=True) for pair in self.matches
        )

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        student, teacher = step.student, teacher_of(step)
        assert student.pooled is not None and teacher.pooled is not None
        found, deeper = self.first(precise(student.pooled)[..., None, None], None)
        losses = [reviewkd(found, teacher.pooled[..., None, None])]
        for pair, fusion in zip(self.matches, self.rest, strict=True):
            found, deeper = fusion(precise(student.features[pair.student]), deeper)
            losses.append(reviewkd(found, teacher.features[pair.teacher]))
        ramp = min(step.u / self.warmup, 1.0) if self.warmup > 0 else 1.0
        return ramp * torch.stack(losses).sum(0)


@dataclass(frozen=True, kw_only=True)
class ReviewKD:
    """Each student stage, fused with all deeper ones, learns a teacher stage; the pooled embedding is the deepest.

    Losses of the stages and of the pooled embedding are added up. The teacher's maps are those it offers, after their
    last ReLU; the paper takes them before it.
    """

    declares = Loss(
        modalities=IMAGE,
        teacher="live",
        reads={"features", "pooled"},
        student_reads={"features", "pooled"},
        scale=Scale(1.0, "published by pair: 0.6 (ResNet-56 to 20), 1 (110 to 32), 5 (32x4 to 8x4)"),
        cost=2.0,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "all"  # which student stages learn from which
    width: int = 512  # channels passed from stage to stage; at most the student's last features have
    warmup: Annotated[float, Real(0.0, 0.2)] = 20 / 240  # share of training over which the loss rises linearly from 0

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], times the ramp min(u / warmup, 1), as a module that trains along.

        Raises:
          ComponentError: a network offers no maps or no pooled embedding, or `stages` names one that is not there.
        """
        student, teacher = offered(context, "reviewkd", "features", "pooled")
        assert student.pooled is not None and teacher.pooled is not None
        matches = match(context, "reviewkd", self.stages, maps=True)
        width = min(self.width, student.features[-1][0])
        return ReviewTerm(matches, student.pooled, teacher.pooled, width, self.warmup)
