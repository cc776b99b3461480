"""DisWOT: how much an untrained student resembles the teacher on one batch.

Source: Dong et al., DisWOT: Student Architecture Search for Distillation WithOut Training, CVPR 2023, arXiv 2303.15678;
the two terms follow the formulas of its released description. Here the teacher is the one given, trained; to use a
randomly initialised one, hand its output to `relation_term` and `semantic_term`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from autokd import declarations
from autokd.errors import ComponentError
from autokd.networks.models import as_output, seeded
from autokd.proxies.untrained import untrained_student
from autokd.ranges import Choice, Integer
from autokd.types import BuildContext, Output, Proxy, ScreenInput


class DisWOTTerms(NamedTuple):
    """The two terms, each at most 0, higher is better.

    Args:
      relation: similarity of the sample relations.
      semantic: similarity of the classifiers' gradients; None where the classifiers' input widths differ.
    """

    relation: float
    semantic: float | None

    def present(self) -> list[float]:
        """The terms that there are."""
        return [term for term in self if term is not None]


def relation_term(teacher_features: Tensor, student_features: Tensor) -> Tensor:
    """Return -1/B² ‖G_T - G_S‖²_F of the Gram matrices of samples, each row scaled to unit length.

    Args:
      teacher_features, student_features: [B, …], last maps before pooling; their other dimensions may differ.
    """
    teacher, student = teacher_features.flatten(1).double(), student_features.flatten(1).double()
    return -(_unit(teacher @ teacher.T) - _unit(student @ student.T)).square().mean()


def classifier_gradient(logits: Tensor, pooled: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the mean cross-entropy for the classifier's weights: (softmax - onehot)ᵀ pooled / B.

    Args:
      logits: [B, C].
      pooled: [B, D], what the classifier reads.
      labels: [B] class indices.
    Returns:
      [C, D].
    """
    residual = logits.softmax(1) - functional.one_hot(labels, logits.shape[1])
    return residual.T @ pooled / len(labels)


def semantic_term(teacher_gradient: Tensor, student_gradient: Tensor) -> Tensor:
    """Return -1/(C D) Σ_k ‖E_k,T - E_k,S‖²_F, E_k = g_k g_kᵀ with each row scaled to unit length (zero rows stay zero).

    A row of E_k is sign(g_ki) g_k / ‖g_k‖. So the squared distance is the number of non-zero rows of both, minus
    twice the product of (Σ_i sign(g_ki,T) sign(g_ki,S)) and the cosine of g_k,T and g_k,S; no D x D matrix is formed.
    It compares channel i with channel i, though the order of channels is arbitrary.

    Args:
      teacher_gradient, student_gradient: [C, D].
    """
    teacher, student = teacher_gradient.double(), student_gradient.double()
    rows = teacher.sign().square().sum(1) + student.sign().square().sum(1)
    agreement = (teacher.sign() * student.sign()).sum(1)
    distance = rows - 2 * agreement * (_unit(teacher) * _unit(student)).sum(1)
    return -distance.mean() / teacher.shape[1]


def diswot_terms(teacher: Output, student: Output, labels: Tensor) -> DisWOTTerms:
    """Return both terms of one student on one batch.

    Args:
      teacher, student: outputs on the same inputs, with features, and with pooled embeddings for the semantic term.
      labels: [B] class indices.
    """
    relation = float(relation_term(teacher.features[-1], student.features[-1]))
    if teacher.pooled is None or student.pooled is None or teacher.pooled.shape != student.pooled.shape:
        return DisWOTTerms(relation, None)
    gradients = [classifier_gradient(o.logits, o.pooled, labels) for o in (teacher, student) if o.pooled is not None]
    return DisWOTTerms(relation, float(semantic_term(*gradients)))


@dataclass(frozen=True, kw_only=True)
class DisWOT:
    """Relation term, plus where asked the semantic term, mean over initialisations of the student.

    The semantic term exists only for students whose classifier is as wide as the teacher's, and outweighs the other by
    two orders of magnitude. So with `semantic`, compare students of that width only; any other is scored by the
    relation term alone.

    Raises:
      ComponentError: there is no teacher, or teacher or student offer no features.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="negative distance")

    semantic: Annotated[bool, Choice(False, True)] = False  # add the semantic term where the widths are equal
    gaussian: Annotated[bool, Choice(False, True)] = False  # N(0, 1) weights, as the released scripts'
    seeds: Annotated[int, Integer(1, 10, unit="initialisations")] = 3  # scores averaged; one is noisy

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        for who, shapes in (("teacher", context.teacher), ("student", context.student)):
            if shapes is not None and not shapes.features:
                raise ComponentError(f"diswot compares feature maps; this {who} offers none")

        def score(screen: ScreenInput) -> float:
            if screen.teacher is None:
                raise ComponentError("diswot compares the student with a teacher; none was given")
            teacher = screen.teacher.predict(screen.inputs)
            return fmean(self._of_seed(screen, teacher, screen.seed + i) for i in range(self.seeds))

        return score

    def _of_seed(self, screen: ScreenInput, teacher: Output, seed: int) -> float:
        network = untrained_student(screen, seed)
        if self.gaussian:
            gaussian_(network, seed)
        with torch.no_grad():
            student = as_output(network(screen.inputs))
        if not student.features:
            raise ComponentError("diswot compares feature maps; this student offers none")
        terms = diswot_terms(teacher, student, screen.labels)
        return sum(terms.present()) if self.semantic else terms.relation


def gaussian_(network: nn.Module, seed: int) -> None:
    """Draw every convolution's and linear layer's weights from N(0, 1) and zero their biases, in place."""
    with seeded(seed, next(network.parameters()).device):
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _unit(rows: Tensor) -> Tensor:
    """Rows scaled to unit length; a row of zeros stays."""
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    return scaled
