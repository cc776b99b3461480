"""RDist: relations between the tokens of one sample (LLaVA-KD, Cai et al., ICCV 2025, arXiv 2410.16236)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, real_tokens, teacher_of, unit
from autokd.losses.pairing import offered, pairs
from autokd.losses.projectors import grid_side, pool_tokens
from autokd.losses.relations import ZERO, matmul
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term


def rdist(
    student_tokens: Tensor,
    teacher_tokens: Tensor,
    mask: Tensor | None = None,
    *,
    center: bool = True,
    normalize: bool = False,
) -> Tensor:
    """One minus the cosine of the two networks' matrices of inner products between a sample's tokens.

    Widths may differ. It ignores a rotation of the channels and a common scale. A sample whose tokens are all zero (or
    all equal, with `center`) has no relations: 1, without gradient.

    Args:
      student_tokens: [B, N, d].
      teacher_tokens: [B, N, d'], as many tokens; no gradient reaches it.
      mask: [B, N] bool, false at tokens that only fill up a sample and do not count; None: all are real.
      center: subtract each sample's mean token first; tokens after a ReLU share a large mean, which hides the rest.
      normalize: then scale each token to length 1.
    Returns:
      [B], without unit, in [0, 1]; 0 where the matrices agree up to a scale.
    Source: Cai et al. 2025, relation distillation, one cosine a sample (the released code takes one over the whole
      batch). The paper has neither centring nor scaling of tokens: `center=False` is the published form.
    """
    student = _prepared(precise(student_tokens), mask, center, normalize)
    teacher = _prepared(precise(teacher_tokens.detach()), mask, center, normalize)
    overlap = matmul(student.mT, teacher).square().sum((1, 2))
    size = _size(student) * _size(teacher)
    return 1 - torch.where(size > 0, overlap / size.clamp_min(torch.finfo(size.dtype).tiny), 0.0)


def _prepared(tokens: Tensor, mask: Tensor | None, center: bool, normalize: bool) -> Tensor:
    """Tokens centred and normalised as asked, scaled by their largest value, so that fourth powers stay in range.

    Those that only fill up a sample become 0, and so relate to none.
    """
    if mask is None:
        tokens = tokens - tokens.mean(1, keepdim=True) if center else tokens
    else:
        real = mask[..., None]
        mean = torch.where(real, tokens, 0.0).sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp_min(1)
        tokens = torch.where(real, tokens - mean if center else tokens, 0.0)
    tokens = unit(tokens, epsilon=ZERO) if normalize else tokens
    largest = tokens.detach().abs().amax((1, 2), keepdim=True)
    return tokens / largest.clamp_min(torch.finfo(tokens.dtype).tiny)


def _common(student: int, teacher: int) -> int:
    """The number of tokens to which both are pooled on a grid, where nothing fills up a sample; 0 for equal numbers.

    Raises:
      ComponentError: the numbers differ and form no square grid.
    """
    if student == teacher:
        return 0
    for number in (student, teacher):
        grid_side(number)
    return min(student, teacher)


def _size(tokens: Tensor) -> Tensor:
    """Frobenius norm of the matrix of inner products, [B], by the smaller of the two that have it."""
    channels = tokens.shape[2] < tokens.shape[1]
    products = matmul(tokens.mT, tokens) if channels else matmul(tokens, tokens.mT)
    norm: Tensor = torch.linalg.vector_norm(products, dim=(1, 2))
    return norm


@dataclass(frozen=True, kw_only=True)
class RDist:
    """The tokens of an image relate to each other for the student as they do for the teacher.

    Published on a language model's outputs at the visual positions; here on the hidden states of transformers' layers.
    Where the numbers of tokens differ, the larger square grid is average-pooled to the smaller. Layers are added up.
    """

    declares = Loss(
        teacher="live",
        reads={"tokens"},
        student_reads={"tokens"},
        scale=Scale(0.5, "weight of the relation loss in the paper (the released code has 1)"),
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    center: Annotated[bool, Choice(True, False)] = True  # subtract a sample's mean token first
    normalize: Annotated[bool, Choice(False, True)] = False  # scale each token to length 1
    stages: Annotated[str, Choice("last", "skip", "all")] = "last"  # which student layers learn from which

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B].

        Raises:
          ComponentError: a network offers no tokens, `stages` names a layer that is not there, or the tokens' numbers
            differ and form no square grid.
        """
        student, teacher = (shapes.tokens for shapes in offered(context, "rdist", "tokens"))
        matches = tuple((i, j, _common(student[i][0], teacher[j][0])) for i, j in pairs(student, teacher, self.stages))

        def loss(step: Step, i: int, j: int, count: int) -> Tensor:
            ours, theirs = precise(step.student.tokens[i]), precise(teacher_of(step).tokens[j])
            if not count:
                return rdist(ours, theirs, real_tokens(step), center=self.center, normalize=self.normalize)
            pooled = pool_tokens(ours, count), pool_tokens(theirs, count)
            return rdist(*pooled, center=self.center, normalize=self.normalize)

        return lambda step: torch.stack([loss(step, *match) for match in matches]).sum(0)
