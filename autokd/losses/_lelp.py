"""LELP: subclasses from linear projections of the teacher's embedding (Loo et al. 2024, arXiv 2409.20449)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses._kd import kd
from autokd.losses.common import precise, teacher_of
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, PrepareContext, Step, Term

_SMALL = 1e-8  # variance, relative to the largest, below which a direction of the embedding is rounding noise
_FEWEST = 20  # samples of a class for each of its directions


def lelp(
    student_logits: Tensor,
    subclass_logits: Tensor,
    teacher_logits: Tensor,
    subclass_targets: Tensor,
    *,
    temperature: float = 4.0,
) -> Tensor:
    """Divergence over all subclasses: that over the classes, plus that within each class, weighted by the teacher.

    The student's distribution over subclasses is the product of its class probabilities and, in each class, a softmax
    over the subclasses; so the sum over the subclasses of a class is what the student's own classifier says, and with
    one subclass a class this is exactly `kd`.

    Args:
      student_logits, teacher_logits: [B, C]; no gradient reaches the teacher's.
      subclass_logits: [B, C, S].
      subclass_targets: [B, C, S], probabilities of the subclasses within each class; no gradient reaches them.
      temperature: softmax temperature of classes and subclasses, > 0, but not of the subclass targets; the result is
        scaled by its square.
    Returns:
      [B], nats; 0 where both distributions agree.
    Source: Loo et al. 2024, the divergence in place of the cross-entropy, and the factor temperature².
    """
    subclasses = (precise(subclass_logits) / temperature).log_softmax(-1)
    within = F.kl_div(subclasses, precise(subclass_targets.detach()), reduction="none").sum(-1)
    teacher = (precise(teacher_logits.detach()) / temperature).softmax(-1)
    classes = kd(student_logits, teacher_logits, temperature=temperature)
    return classes + temperature**2 * (teacher * within).sum(-1)


def subclass_projections(
    embedding: Tensor, logits: Tensor, labels: Tensor, *, subclasses: int, null_space: bool = True, rotate: bool = True
) -> dict[str, Tensor]:
    """Return the affine maps from a teacher's embedding to the scores of each class's subclasses.

    In each class: the principal components of the embedding about the class's mean, over the mean of their standard
    deviations, so that scores are about 1 whatever the teacher.

    Args:
      embedding: [N, D], of the training set.
      logits: [N, C], the teacher's; where they are affine in the embedding, their directions are the classifier's.
      labels: [N] class indices.
      subclasses: S, of each class. A class has as many components as its rank, and its samples over 20, allow.
      null_space: first remove from the embedding the directions that the logits read; not where these are all.
      rotate: spread the components evenly over the scores, by a fixed random rotation.
    Returns:
      "projection" [C, D, S] and "offset" [C, S]; scores are embedding @ projection + offset.
    """
    h, z = embedding.double(), logits.double()
    basis = _read_by(h, z) if null_space else h.new_zeros(h.shape[1], 0)
    kept = torch.eye(h.shape[1], dtype=h.dtype) - basis @ basis.T
    turn = _rotation(subclasses).to(h.dtype) if rotate else torch.eye(subclasses, dtype=h.dtype)
    projections = [kept @ _components(h[labels == c] @ kept, subclasses) @ turn for c in range(z.shape[1])]
    means = [h[labels == c].sum(0) / (labels == c).sum().clamp_min(1) for c in range(z.shape[1])]
    offsets = [-mean @ projection for mean, projection in zip(means, projections, strict=True)]
    found = {"projection": torch.stack(projections), "offset": torch.stack(offsets)}
    return {name: value.to(embedding.dtype) for name, value in found.items()}


def _read_by(h: Tensor, z: Tensor) -> Tensor:
    """Orthonormal basis [D, R] of the directions of `h` by which `z` is predicted, least squares; empty if R = D."""
    h, z = h - h.mean(0), z - z.mean(0)
    weights = torch.linalg.pinv(h.T @ h, rtol=_SMALL, hermitian=True) @ (h.T @ z)
    directions, lengths, _ = torch.linalg.svd(weights, full_matrices=False)
    basis: Tensor = directions[:, lengths > _SMALL**0.5 * lengths.max()]
    return basis if basis.shape[1] < basis.shape[0] else basis[:, :0]


def _components(x: Tensor, count: int) -> Tensor:
    """Leading principal components of rows [N, D], as [D, count], over their mean deviation; 0 where there is none."""
    found = x.new_zeros(x.shape[1], count)
    if len(x) < 2:
        return found
    x = x - x.mean(0)
    variances, directions = torch.linalg.eigh(x.T @ x / len(x))
    variances, directions = variances.flip(0), directions.flip(1)
    rank = int((variances > _SMALL * variances[0].clamp_min(torch.finfo(x.dtype).tiny)).sum())
    kept = min(count, rank, max(len(x) // _FEWEST, 1))
    directions = directions[:, :kept]
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()  # of eigenvectors are arbitrary
    found[:, :kept] = directions * signs / variances[:kept].sqrt().mean() if kept else 0.0
    return found


def _rotation(size: int) -> Tensor:
    """A fixed random orthonormal matrix [size, size]."""
    normal = torch.randn(size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(normal).Q
    return rotation


class LELPTerm(nn.Module):
    """`lelp` with a linear classifier of subclasses on the student's embedding.

    Args:
      width: of the student's embedding.
      artefact: "projection" [C, D, S] and "offset" [C, S].
      component: temperatures.
    """

    projection: Tensor
    offset: Tensor

    def __init__(self, width: int, artefact: Mapping[str, Tensor], component: LELP) -> None:
        super().__init__()
        for name in ("projection", "offset"):
            self.register_buffer(name, artefact[name], persistent=False)
        self.classifier = nn.Linear(width, self.offset.numel())
        self.component = component

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        teacher = teacher_of(step)
        assert teacher.pooled is not None and step.student.pooled is not None  # both are declared needs
        logits = self.classifier(precise(step.student.pooled)).unflatten(-1, self.offset.shape)
        return lelp(
            step.student.logits,
            logits,
            teacher.logits,
            self.subclasses_of(teacher.pooled),
            temperature=self.component.temperature,
        )

    def subclasses_of(self, embedding: Tensor) -> Tensor:
        """Return the probabilities of the subclasses within each class, [B, C, S], of a teacher's embeddings [B, D]."""
        with torch.autocast(embedding.device.type, enabled=False):
            scores = torch.einsum("bd,cds->bcs", precise(embedding), self.projection) + self.offset
        return (scores / self.component.subclass_temperature).softmax(-1)


@dataclass(frozen=True, kw_only=True)
class LELP:
    """Each class is split into subclasses along the teacher's embedding, which tell more than a few classes can.

    The paper's student has one softmax over all subclasses. Here it keeps its classifier and gets a linear one within
    the classes beside it, which trains along and is no part of the student: any distribution over subclasses is such a
    product, and its sum over a class's subclasses is the plain classifier's answer. The subclasses' directions come
    from un-augmented training samples, their targets from the view that the student sees. The scaling of the scores,
    the factor temperature² and the temperature's default are our choice.
    """

    declares = Loss(
        teacher="stored",
        reads={"pooled"},
        student_reads={"pooled"},
        scale=Scale(1.0, "T² KL is in nats like ce; the paper uses it alone"),
        excludes={"kd"},  # its part over the classes
        prepared_from=("subclasses", "null_space", "rotate"),  # fields that `prepare` reads
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    temperature: Annotated[float, Real(1.0, 8.0, log=True)] = 4.0  # softmax temperature of both networks
    subclasses: Annotated[int, Choice(2, 4, 8, 16)] = 4  # of each class
    subclass_temperature: Annotated[float, Real(0.05, 5.0, log=True)] = 1.0  # of the teacher's scores in a class
    null_space: Annotated[bool, Choice(False, True)] = True  # leave out what the teacher's classifier reads
    rotate: Annotated[bool, Choice(False, True)] = True  # spread the principal components evenly over the subclasses

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return the directions of the subclasses, for `BuildContext.artefact`; see `subclass_projections`.

        Raises:
          ComponentError: the teacher offers no embedding.
        """
        outputs = context.teacher
        if outputs is None or outputs.pooled is None:
            raise ComponentError("loss 'lelp' needs the teacher's embedding, and it offers none; use 'kd'")
        rows = torch.arange(len(context.labels)) if context.labelled is None else context.labelled.nonzero().squeeze(1)
        return subclass_projections(
            outputs.pooled[rows],
            outputs.logits[rows],
            context.labels[rows],
            subclasses=self.subclasses,
            null_space=self.null_space,
            rotate=self.rotate,
        )

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose classifier of subclasses trains along.

        Raises:
          ComponentError: nothing was prepared, or the student offers no embedding.
        """
        if context.artefact is None:
            raise ComponentError("loss 'lelp' needs what its `prepare` returns as context.artefact, and there is none")
        if context.student is None or context.student.pooled is None:
            raise ComponentError("loss 'lelp' needs the student's embedding, and it offers none; use 'kd'")
        return LELPTerm(context.student.pooled, context.artefact, self)
