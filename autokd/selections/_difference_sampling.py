"""Difference sampling (MiniPLM, Gu et al., ICLR 2025, arXiv 2410.17215), reduced to classifiers.

The samples that a teacher finds likely and a small reference network does not: of s = log p_teacher(x) −
log p_reference(x), the share with the largest is kept, in the order of the set (so the authors' code; its README prints
a ratio). For a language model p is the likelihood of a text. Here it is that of the label, or, without labels, its
expectation under the teacher, the divergence of the two answers; both at temperature 1, without augmentation. Ours too
is the reference (published: a language model trained on 5 billion tokens from the end of the corpus): two small
networks, each trained on the labels of one half, say what the other half is worth, so that no sample is judged by a
network that has seen it.

A saturated teacher finds every label likely. What is left then is "keep what is hardest for a small network", which
costs accuracy at small shares (docs/methods.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd.declarations import Selection
from autokd.errors import ComponentError
from autokd.ranges import Choice, Real
from autokd.seeds import derive, generator
from autokd.types import IMAGE, TABLE, BuildContext, DrawnRows, PrepareContext
from autokd.types import Selection as Drawing


def label_difference(teacher_logits: Tensor, reference_logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the teacher finds the labels likelier than the reference does: [N], nats.

    >>> logits, labels = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    >>> label_difference(logits, torch.zeros(2, 2), labels)
    tensor([0.5662, 0.0000])

    Args:
      teacher_logits, reference_logits: [N, C].
      labels: [N] class indices.
    """
    difference = teacher_logits.log_softmax(-1) - reference_logits.log_softmax(-1)
    return difference.gather(-1, labels[:, None]).squeeze(-1)


def answer_difference(teacher_logits: Tensor, reference_logits: Tensor) -> Tensor:
    """Return KL(teacher ‖ reference), the expectation of `label_difference` under the teacher: [N], nats, at least 0.

    Args:
      teacher_logits, reference_logits: [N, C].
    """
    teacher, reference = teacher_logits.log_softmax(-1), reference_logits.log_softmax(-1)
    return (teacher.exp() * (teacher - reference)).sum(-1)


def kept_rows(scores: Tensor, classes: Tensor, count: int, *, per_class: bool = False) -> Tensor:
    """Return the rows with the largest scores, in ascending order; the lower of equals first.

    Args:
      scores: [N].
      classes: [N] class indices; the best row of each class is kept in any case.
      count: rows to keep, at most N.
      per_class: keep about the same share of each class, instead of the best of all.
    Returns:
      [count] int64; as many as there are classes where `count` is less.
    """
    order = scores.argsort(descending=True, stable=True)
    classes = classes[order]
    counts = classes.bincount()
    by_class = classes.argsort(stable=True)
    rank = torch.empty_like(order)  # of each row in its class, the best 0
    rank[by_class] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[classes[by_class]]
    late = (rank + 0.5) / counts[classes] if per_class else torch.arange(len(order), dtype=torch.float32)
    first = torch.where(rank == 0, -1.0, late).argsort(stable=True)
    return order[first[: max(count, int((counts > 0).sum()))]].sort().values


def soft_weights(scores: Tensor) -> Tensor:
    """Return weights with mean 1 that grow with the score, twice the logistic function of its standard score: [N].

    Args:
      scores: [N].
    """
    spread = scores.std(correction=0)
    weights = 2 * torch.sigmoid((scores - scores.mean()) / spread.clamp_min(torch.finfo(scores.dtype).tiny))
    return weights / weights.mean()


@dataclass(frozen=True, kw_only=True)
class DifferenceSampling:
    """The samples on which the teacher is ahead of a small reference network: a share of them, or all, weighted."""

    declares = Selection(teacher="stored", modalities=IMAGE | TABLE, prepared_from=())

    share: Annotated[float, Real(0.5, 0.9, unit="share of the set")] = 0.5  # that is kept; published for text: 0.5
    by: Annotated[str, Choice("label", "answer")] = "label"  # what is likelier for the teacher; answer: on average
    per_class: Annotated[bool, Choice(False, True)] = False  # keep this share of each class
    soft: bool = False  # keep all samples, and weight them by the difference

    def __post_init__(self) -> None:
        if self.by not in ("label", "answer"):
            raise ValueError(f"by: expected 'label' or 'answer', got {self.by!r}")

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return every sample's differences, and its class (the teacher's where it has no label).

        Returns:
          "label" and "answer", [N] float32; without a label the former is the latter, its expectation; "classes" [N].
        Raises:
          ComponentError: there is no teacher.
        """
        if context.teacher is None:
            raise ComponentError("selection 'difference_sampling' compares with a teacher, and there is none")
        teacher, labels = context.teacher.logits, context.labels
        known = torch.ones_like(labels, dtype=torch.bool) if context.labelled is None else context.labelled
        half = torch.randperm(len(labels), generator=generator(0, "halves")) % 2
        reference = torch.zeros_like(teacher)
        for one in (0, 1):
            rows = ((half != one) & known).nonzero().squeeze(1)
            reference[half == one] = context.reference(rows, derive(0, "reference", one))[half == one]
        classes = torch.where(known, labels, teacher.argmax(-1))
        answer = answer_difference(teacher, reference)
        label = torch.where(known, label_difference(teacher, reference, classes), answer)
        return {"label": label, "answer": answer, "classes": classes}

    def build(self, context: BuildContext) -> Drawing:
        """Return how rows are drawn: the same in every pass.

        Raises:
          ComponentError: nothing was prepared.
        """
        if context.artefact is None:
            raise ComponentError("selection 'difference_sampling' needs what its `prepare` returns, and there is none")
        scores, classes = context.artefact[self.by], context.artefact["classes"]
        if self.soft:
            drawn = DrawnRows(torch.arange(len(scores)), soft_weights(scores))
        else:
            drawn = DrawnRows(kept_rows(scores, classes, int(self.share * len(scores)), per_class=self.per_class))
        return Drawing(len(drawn.rows), lambda number, generator, u: drawn)
