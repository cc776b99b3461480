"""How much a student's answers to one batch resemble the teacher's: the terms of DisWOT.

Source: Dong et al., DisWOT: Student Architecture Search for Distillation WithOut Training, CVPR 2023, arXiv 2303.15678;
the two terms follow the formulas of its released description.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from autokd.errors import ComponentError
from autokd.networks.models import NetworkTeacher, as_output
from autokd.proxies.untrained import gaussian_, last_feature, needed_teacher, scored, untrained_student
from autokd.types import Output, ScreenInput, Shapes, Teacher


class Answers(NamedTuple):
    """What teacher and student say of the same batch."""

    teacher: Output
    student: Output


@torch.no_grad()
def answers(screen: ScreenInput, *, gaussian: bool = False, random_teacher: bool = False) -> Answers:
    """Return what the teacher and an untrained student say of the screening batch.

    Args:
      screen: what is screened.
      gaussian: the student's weights are from N(0, 1), in place of its own initialisation.
      random_teacher: the teacher's, too; it then normalises with the statistics of the batch.
    Raises:
      ComponentError: there is no teacher; or one to be drawn again that is no single network.
    """
    teacher = needed_teacher(screen)
    network = untrained_student(screen)
    if gaussian:
        gaussian_(network, screen.seed)
    said = _untrained(teacher, screen) if random_teacher else teacher.predict(screen.inputs)
    return Answers(said, as_output(network(screen.inputs)))


def _untrained(teacher: Teacher, screen: ScreenInput) -> Output:
    if not isinstance(teacher, NetworkTeacher) or len(teacher.modules) != 1:
        raise ComponentError(f"the teacher {teacher.origin} is no single network, whose weights could be drawn again")
    network = gaussian_(scored(copy.deepcopy(teacher.modules[0])), screen.seed)
    return as_output(network(screen.inputs))


def check_offers(teacher: Shapes | None, *, pooled: bool = False, features: bool = True) -> None:
    """Refuse a teacher that does not offer what a proxy reads; None, no teacher, is refused only where one is read.

    Raises:
      ComponentError: it offers no features, or no embedding before its classifier.
    """
    if teacher is not None and features and not teacher.features:
        raise ComponentError("this proxy compares feature maps; this teacher offers none")
    if teacher is not None and pooled and teacher.pooled is None:
        raise ComponentError("this proxy compares what classifiers read; this teacher offers no such embedding")


def relation_term(teacher_features: Tensor, student_features: Tensor) -> Tensor:
    """Return -1/B² ‖G_T - G_S‖²_F of the Gram matrices of samples, each row scaled to unit length.

    Args:
      teacher_features, student_features: [B, …], last maps before pooling; their other dimensions may differ.
    """
    teacher, student = teacher_features.flatten(1).double(), student_features.flatten(1).double()
    return -(_unit(teacher @ teacher.T) - _unit(student @ student.T)).square().mean()


def channel_relation_term(teacher_features: Tensor, student_features: Tensor) -> Tensor:
    """Return `relation_term` between the channels of the first sample: what most of the released scripts compute.

    Args:
      teacher_features, student_features: [B, C, …]; of more channels the first are taken, since matrices must agree.
    """
    channels = min(teacher_features.shape[1], student_features.shape[1])
    first = (features[0, :channels].reshape(channels, -1) for features in (teacher_features, student_features))
    return relation_term(*first)


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
      teacher_gradient, student_gradient: [C, D]; of a wider one the first columns are taken, as the released code does
        for transformers.
    """
    width = min(teacher_gradient.shape[1], student_gradient.shape[1])
    teacher, student = teacher_gradient[:, :width].double(), student_gradient[:, :width].double()
    rows = teacher.sign().square().sum(1) + student.sign().square().sum(1)
    agreement = (teacher.sign() * student.sign()).sum(1)
    distance = rows - 2 * agreement * (_unit(teacher) * _unit(student)).sum(1)
    return -distance.mean() / width


def relation_of(both: Answers, *, as_released: bool = False) -> float:
    """Return the relation term of two answers, that of `channel_relation_term` where asked.

    Raises:
      ComponentError: teacher or student offer no features.
    """
    term = channel_relation_term if as_released else relation_term
    return float(term(last_feature(both.teacher, "teacher"), last_feature(both.student, "student")))


def semantic_of(both: Answers, labels: Tensor) -> float:
    """Return the semantic term of two answers, given the labels [B].

    Raises:
      ComponentError: teacher or student offer no embedding before the classifier.
    """
    found = [_gradient(output, whose, labels) for output, whose in zip(both, ("teacher", "student"), strict=True)]
    return float(semantic_term(*found))


def _gradient(output: Output, whose: str, labels: Tensor) -> Tensor:
    if output.pooled is None:
        raise ComponentError(f"this proxy reads what a classifier reads; this {whose} offers no such embedding")
    return classifier_gradient(output.logits, output.pooled, labels)


def divergence(teacher_logits: Tensor, student_logits: Tensor, temperature: float) -> Tensor:
    """Return the mean KL(teacher ‖ student) of softened answers [B, C] times the temperature's square, nats."""
    teacher, student = ((logits / temperature).log_softmax(1) for logits in (teacher_logits, student_logits))
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def _unit(rows: Tensor) -> Tensor:
    """Rows scaled to unit length; a row of zeros stays."""
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    return scaled
