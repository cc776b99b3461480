"""Similarity-preserving knowledge distillation (Tung and Mori, ICCV 2019, arXiv 1907.09682, eqs. 1 to 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from autokd.losses.common import feature_shapes, precise, teacher_of, unit
from autokd.ranges import Real
from autokd.types import ANY, BuildContext, Step, Term

_ZERO = 1e-12  # length of a row of similarities below which the sample's features count as all zero


def sp(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Mean squared difference between the two networks' sample-by-sample similarities.

    A batch statistic: it compares the samples of a batch with one another, so widths and sizes of the maps may differ.
    A batch of one gives 0. A sample whose features are all zero has similarity 0 to all, without gradient.

    Args:
      student_map, teacher_map: [B, …], flattened; no gradient reaches the teacher's.
    Returns:
      Scalar without unit: squared Frobenius distance over B²; 0 where the similarities agree.
    Source: Tung and Mori 2019, eqs. 1 to 4, one pair of layers.
    """
    difference = _similarities(student_map) - _similarities(teacher_map.detach())
    return difference.square().mean()


def _similarities(features: Tensor) -> Tensor:
    """Inner products of all pairs of samples with every row scaled to length 1, [B, B]."""
    rows = precise(features).flatten(1)
    with torch.autocast(rows.device.type, enabled=False):
        return unit(rows @ rows.T, epsilon=_ZERO)


@dataclass(frozen=True, kw_only=True)
class SP:
    """Samples that the teacher finds similar are similar to the student, judged by the last features of both."""

    modalities = ANY
    teacher = "live"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    batch_statistic = True
    min_classes = 2
    excludes: ClassVar[frozenset[str]] = frozenset()
    requires: ClassVar[frozenset[str]] = frozenset()
    scale: ClassVar[float] = 3000.0  # published weight, section 4.1, under the same division by B²

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar.

        Raises:
          ComponentError: a network offers no features.
        """
        feature_shapes(context, "sp")

        def term(step: Step) -> Tensor:
            return sp(step.student.features[-1], teacher_of(step).features[-1])

        return term
