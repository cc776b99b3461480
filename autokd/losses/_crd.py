"""Contrastive representation distillation (Tian et al., ICLR 2020, arXiv 1910.10699, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import class_index, unit
from autokd.losses.pairing import offered
from autokd.losses.relations import ZERO, matmul, pooled_of
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

_MOST = 16384  # negatives
_UNSEEN = -1  # label of a sample that has not been in a batch yet


def crd(positive: Tensor, others: Tensor, is_negative: Tensor, *, negatives: float) -> Tensor:
    """Noise-contrastive loss of telling each sample's partner from samples of other classes, for one side's anchors.

    With P a log-probability's exponential, h = P / (P + K / N) is the belief that a pair belongs together; the loss is
    -log h of the partner minus K times the mean of log(1 - h) over the negatives. That is the expectation, over the
    draw, of the published loss with K negatives drawn uniformly from them.

    Args:
      positive: [B] log-probabilities of the partners.
      others: [B, N] log-probabilities of all N samples.
      is_negative: [B, N], true for samples of other classes.
      negatives: K, > 0.
    Returns:
      [B], nats.
    Source: Tian et al. 2020, as in the authors' code, with the mean over negatives in place of K drawn ones.
    """
    margin = math.log(others.shape[-1] / negatives)
    hit = F.softplus(-(positive + margin))
    miss = torch.where(is_negative, F.softplus(others + margin), 0.0).sum(-1) / is_negative.sum(-1).clamp_min(1)
    return hit + negatives * miss


class CRDTerm(nn.Module):
    """Embeddings of both networks and a memory of them for all training samples; all of it goes into checkpoints.

    A sample not seen yet has a random memory and counts as of another class. In evaluation mode nothing is remembered.

    Args:
      widths: of the pooled embeddings, the student's and the teacher's.
      samples: of the training set, N.
      width: of the learned embeddings.
      negatives: K.
      temperature: of the similarities.
      momentum: share of a sample's memory that stays when it is seen again.
    """

    student_memory: Tensor
    teacher_memory: Tensor
    labels: Tensor
    log_normalisers: Tensor

    def __init__(
        self,
        widths: tuple[int, int],
        *,
        samples: int,
        width: int,
        negatives: int,
        temperature: float,
        momentum: float,
    ) -> None:
        super().__init__()
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.student_embedding = nn.Linear(widths[0], width)
        self.teacher_embedding = nn.Linear(widths[1], width)
        for name in ("student_memory", "teacher_memory"):
            self.register_buffer(name, unit(torch.randn(samples, width), epsilon=ZERO))
        self.register_buffer("labels", torch.full((samples,), _UNSEEN))
        self.register_buffer("log_normalisers", torch.full((2,), math.nan))  # set by the first batch
        self._settled = False

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B], the sum of both sides, and remember the step's embeddings."""
        pooled = pooled_of(step)
        student = unit(self.student_embedding(pooled[0]), epsilon=ZERO)
        teacher = unit(self.teacher_embedding(pooled[1]), epsilon=ZERO)
        classes = class_index(step.targets)
        labels = self.labels.index_copy(0, step.index, classes)
        is_negative = labels != classes[:, None]
        memories = (self.teacher_memory, self.student_memory)
        held = [memory.clone() if self.training else memory for memory in memories]  # the gradient reads it later
        sides = tuple(zip((student, teacher), held, strict=True))
        scores = [matmul(anchor, memory.T) / self.temperature for anchor, memory in sides]
        normalisers = self.log_normalisers if self._settled else self._normalisers(scores)
        loss = torch.zeros_like(scores[0][:, 0])
        for (anchor, memory), score, normaliser in zip(sides, scores, normalisers, strict=True):
            partner = (anchor * memory[step.index]).sum(-1) / self.temperature
            loss = loss + crd(partner - normaliser, score - normaliser, is_negative, negatives=self.negatives)
        if self.training:
            self._remember(step.index, student, teacher, labels, normalisers)
        return loss

    @torch.no_grad()
    def _normalisers(self, scores: list[Tensor]) -> Tensor:
        """Logarithm of what makes each side's scores probabilities, [2]: the first batch's mean, kept from then on."""
        found = [score.logsumexp((0, 1)) - math.log(len(score)) for score in scores]
        return torch.where(self.log_normalisers.isnan(), torch.stack(found), self.log_normalisers)

    @torch.no_grad()
    def _remember(self, index: Tensor, student: Tensor, teacher: Tensor, labels: Tensor, normalisers: Tensor) -> None:
        """Move the batch's rows of both memories to their embeddings, in place, and take over labels and constants."""
        for memory, embedding in ((self.student_memory, student), (self.teacher_memory, teacher)):
            rows = self.momentum * memory[index] + (1 - self.momentum) * embedding
            memory.index_copy_(0, index, unit(rows, epsilon=ZERO).to(memory.dtype))
        self.labels.copy_(labels)
        self.log_normalisers.copy_(normalisers)
        self._settled = True


@dataclass(frozen=True, kw_only=True)
class CRD:
    """Student and teacher embed the same sample alike, and samples of other classes apart.

    The negatives are taken from a memory of all training samples; instead of a random draw of K of them, all count,
    with K in total: nothing is random. Needs whole labels, so no mixed inputs. Published with and without `kd`.
    """

    declares = Loss(
        teacher="stored",
        reads_labels=True,
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(0.8, "published weight (CIFAR-100), the same sum over negatives"),
        cost=1.6,
        excludes={"augment.mixup", "augment.cutmix"},  # a mixed sample has no class
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    negatives: Annotated[float, Real(1 / 64, 1 / 4, log=True, unit="share of the set")] = 1 / 4  # K, at most 16384
    temperature: Annotated[float, Real(0.03, 0.2, log=True)] = 0.07  # of the similarities
    width: Annotated[int, Choice(64, 128, 256)] = 128  # of the learned embeddings
    momentum: Annotated[float, Real(0.3, 0.9)] = 0.5  # share of a sample's memory that stays when it is seen again

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module with embeddings that train along and memories.

        Raises:
          ComponentError: a network offers no pooled embedding.
        """
        student, teacher = (shapes.pooled for shapes in offered(context, "crd", "pooled"))
        assert student is not None and teacher is not None
        samples = context.task.train_size
        return CRDTerm(
            (student, teacher),
            samples=samples,
            width=self.width,
            negatives=min(max(round(self.negatives * samples), 1), _MOST),
            temperature=self.temperature,
            momentum=self.momentum,
        )
