"""Attention transfer (Zagoruyko and Komodakis, ICLR 2017, arXiv 1612.03928, section 3.1, eq. 2)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, unit
from autokd.losses.pairing import match, summed
from autokd.losses.projectors import to_smaller
from autokd.losses.relations import ZERO
from autokd.ranges import Choice, Real
from autokd.types import IMAGE, BuildContext, Term


def attention_transfer(student_map: Tensor, teacher_map: Tensor, *, power: int = 2) -> Tensor:
    """Mean squared difference of the two networks' attention maps: channel means of a power, scaled to length 1.

    Numbers of channels may differ; the larger map is average-pooled to the smaller. A sample whose map is all zero has
    an attention map of zeros, without gradient.

    Args:
      student_map: [B, c, h, w].
      teacher_map: [B, c', h', w']; no gradient reaches it.
      power: exponent p of the activations, >= 1; odd ones keep the sign.
    Returns:
      [B], the mean over positions, without unit; at most 4 / positions, and 0 where the attention agrees.
    Source: Zagoruyko and Komodakis 2017, section 3.1, with the mean square of the CRD benchmark (Tian et al., ICLR
      2020) in place of the norm of eq. 2.
    Example:
      >>> here, there = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
      >>> attention_transfer(here, there)  # (1 + 1) / 2 positions
      tensor([1.])
    """
    student, teacher = to_smaller(precise(student_map), precise(teacher_map.detach()))
    return (_attention(student, power) - _attention(teacher, power)).square().mean(-1)


def _attention(x: Tensor, power: int) -> Tensor:
    """Attention map as a unit vector, [B, h * w]; scaled by the largest activation first, lest a power overflow."""
    largest = x.detach().abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return unit((x / largest).pow(power).mean(1).flatten(1), epsilon=ZERO)


@dataclass(frozen=True, kw_only=True)
class AttentionTransfer:
    """The student looks where the teacher looks: the maps' energy over space agrees, whatever the channels mean.

    Stages' losses are added up.
    """

    declares = Loss(
        modalities=IMAGE,
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(1000.0, "weight in the CRD benchmark (Tian et al., ICLR 2020), same mean over positions"),
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    power: Annotated[int, Choice(1, 2, 4)] = 2  # exponent of the activations
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "all"  # which student stages learn from which

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: a network offers no maps, or `stages` names one that is not there.
        """
        loss = functools.partial(attention_transfer, power=self.power)
        return summed(loss, match(context, "attention_transfer", self.stages, maps=True))
