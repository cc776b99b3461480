"""SinKD: Sinkhorn distance between a batch's answers (Cui et al. 2024, arXiv 2402.17110)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term


def sinkhorn(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 2.0,
    epsilon: float = 0.1,
    iterations: int = 20,
    debiased: bool = False,
) -> Tensor:
    """Entropic optimal-transport cost from the batch of student probabilities to the batch of teacher probabilities.

    A batch statistic: the cost of moving student row i onto teacher row j is the L1 distance of their probabilities,
    and every row has mass 1. It is blind to the order of the samples, so it needs a loss a sample beside it. A batch of
    one gives the L1 distance. Gradients run through costs, plan and all iterations, which work on logarithms.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      temperature: softmax temperature, > 0; the result is not scaled by it.
      epsilon: weight of the plan's entropy, > 0, in units of cost; small values need more iterations.
      iterations: times that rows and then columns of the plan are scaled to sum to 1, >= 1.
      debiased: subtract the mean of the costs from each batch to itself, so that equal batches give 0.
    Returns:
      Scalar without unit: the plan's cost over B, in [0, 2]; without `debiased` it is above 0 at equal batches.
    Source: Cui et al. 2024, batch-wise Sinkhorn distance, divided by B (the authors' code sums). `debiased`: Genevay et
      al., AISTATS 2018, arXiv 1706.00292.
    Example:
      >>> teacher = torch.tensor([[0.25, 0.75]]).log()
      >>> sinkhorn(torch.zeros(1, 2), teacher, temperature=1.0)  # one sample: 1/4 + 1/4
      tensor(0.5000)
    """
    student = (precise(student_logits) / temperature).softmax(-1)
    teacher = (precise(teacher_logits.detach()) / temperature).softmax(-1)
    cost = _transport(student, teacher, epsilon, iterations)
    if not debiased:
        return cost
    own = (_transport(x, x, epsilon, iterations) for x in (student, teacher))
    return cost - sum(own) / 2


def _transport(a: Tensor, b: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Cost of the entropic plan between rows of two batches, over the batch size."""
    costs = torch.cdist(a, b, p=1.0)
    log_plan = -costs / epsilon
    for _ in range(iterations):
        log_plan = log_plan - log_plan.logsumexp(1, keepdim=True)
        log_plan = log_plan - log_plan.logsumexp(0, keepdim=True)
    return (log_plan.exp() * costs).sum() / len(costs)


@dataclass(frozen=True, kw_only=True)
class Sinkhorn:
    """The student's answers to a batch, taken as a set, come close to the teacher's by optimal transport."""

    declares = Loss(
        teacher="stored",
        scale=Scale(0.0256, "published: 0.8 times 0.001 on the sum over batches of up to 32"),
        batch_statistic=True,
        requires={"ce"},  # it does not see which sample got which answer
    )

    weight: Annotated[float, Real(0.1, 100.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 8.0, log=True)] = 2.0  # softmax temperature of both networks
    epsilon: Annotated[float, Real(0.02, 0.5, log=True)] = 0.1  # weight of the plan's entropy
    iterations: Annotated[int, Choice(10, 20, 50)] = 20  # scalings of the plan's rows and columns
    debiased: Annotated[bool, Choice(False, True)] = False  # subtract the cost from each batch to itself

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, a scalar."""

        def term(step: Step) -> Tensor:
            return sinkhorn(
                step.student.logits,
                teacher_of(step).logits,
                temperature=self.temperature,
                epsilon=self.epsilon,
                iterations=self.iterations,
                debiased=self.debiased,
            )

        return term
