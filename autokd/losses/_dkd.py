"""Decoupled knowledge distillation (Zhao et al., CVPR 2022, arXiv 2203.08679, eq. 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import log_softmax_of_others, precise, target_mask, teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    temperature: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> Tensor:
    """Divergence of the student from the teacher on target versus rest, and among the rest, weighted apart.

    With alpha = 1 and, for each sample, beta = 1 - p_teacher(target) this is exactly `kd`.

    Args:
      student_logits, teacher_logits: [B, C] with C >= 2; no gradient reaches the teacher's.
      targets: [B] class indices, or [B, C] class probabilities (their arg-max is the target class).
      temperature: softmax temperature, > 0; the result is scaled by its square.
      alpha: weight of the target-class term (TCKD), >= 0.
      beta: weight of the non-target-class term (NCKD), >= 0; that term is 0 for two classes.
    Returns:
      [B], nats; 0 where the logits agree up to a constant a sample.
    Source: Zhao et al. 2022, eq. 7 and algorithm 1.
    Example:
      >>> teacher = torch.tensor([[0.5, 0.25, 0.25]]).log()  # the classes that are not the target agree
      >>> dkd(torch.zeros(1, 3), teacher, torch.tensor([0]), temperature=1.0)  # log(3/2) / 2 + log(3/4) / 2
      tensor([0.0589])
    """
    student = precise(student_logits) / temperature
    teacher = precise(teacher_logits.detach()) / temperature
    is_target = target_mask(targets, student.shape[-1])
    target_term = _binary_kl(_margin(student, is_target), _margin(teacher, is_target))
    others_term = F.kl_div(
        log_softmax_of_others(student, is_target),
        log_softmax_of_others(teacher, is_target),
        reduction="none",
        log_target=True,
    ).sum(-1)
    return temperature**2 * (alpha * target_term + beta * others_term)


def _margin(logits: Tensor, is_target: Tensor) -> Tensor:
    """Log-odds of the target class against all others, [B]."""
    target = logits.masked_fill(~is_target, 0.0).sum(-1)
    return target - logits.masked_fill(is_target, -math.inf).logsumexp(-1)


def _binary_kl(student_margin: Tensor, teacher_margin: Tensor) -> Tensor:
    """KL between two Bernoulli distributions given by their log-odds, [B]; finite however far apart they are."""
    hit = F.logsigmoid(teacher_margin) - F.logsigmoid(student_margin)
    miss = F.logsigmoid(-teacher_margin) - F.logsigmoid(-student_margin)
    return teacher_margin.sigmoid() * hit + (-teacher_margin).sigmoid() * miss


@dataclass(frozen=True, kw_only=True)
class DKD:
    """Target-class and non-target-class knowledge, weighted apart, with a linear ramp at the start of training."""

    declares = Loss(
        teacher="stored",
        reads_labels=True,
        scale=Scale(1.0, "published: alpha and beta are the weights, beside ce at 1"),
        min_classes=3,  # with two classes it is kd
        excludes={"kd"},  # kd is the same two terms under fixed weights
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 8.0, log=True)] = 4.0  # softmax temperature of both networks
    alpha: Annotated[float, Real(0.25, 2.0, log=True)] = 1.0  # weight of the target-class term
    beta: Annotated[float, Real(0.5, 16.0, log=True)] = 8.0  # weight of the non-target-class term
    warmup: Annotated[float, Real(0.0, 0.2)] = 20 / 240  # share of training over which the loss rises linearly from 0

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], times the ramp min(u / warmup, 1)."""

        def term(step: Step) -> Tensor:
            ramp = min(step.u / self.warmup, 1.0) if self.warmup > 0 else 1.0
            return ramp * dkd(
                step.student.logits,
                teacher_of(step).logits,
                step.targets,
                temperature=self.temperature,
                alpha=self.alpha,
                beta=self.beta,
            )

        return term
