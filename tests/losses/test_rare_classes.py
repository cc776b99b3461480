"""Losses that stand in the place of cross-entropy where classes are rare: known values, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from autokd.losses import ce, focal, logit_adjusted, weighted_ce
from autokd.losses._weighted_ce import class_weights
from autokd.losses.class_shares import class_shares
from autokd.types import PrepareContext, Task

TASK = Task(dataset="made", modality="table", input_shape=(3,), classes=("a", "b", "c"), train_size=10)
LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
TARGETS = torch.eye(3)[[0, 2]]


def shares(labels: list[int], labelled: list[bool] | None = None) -> torch.Tensor:
    known = None if labelled is None else torch.tensor(labelled)
    return class_shares(
        PrepareContext(task=TASK, labels=torch.tensor(labels), labelled=known, reference=lambda rows, seed: rows)
    )


def test_focal_loss_is_cross_entropy_where_it_does_not_look_away() -> None:
    torch.testing.assert_close(focal(LOGITS, TARGETS, gamma=0.0), ce(LOGITS, TARGETS))
    p = math.exp(1) / (math.exp(1) + 1 + math.exp(-1))
    assert float(focal(LOGITS, TARGETS, gamma=2.0)[0]) == pytest.approx(-((1 - p) ** 2) * math.log(p), rel=1e-5)


def test_shares_are_of_known_labels_and_a_class_without_any_is_half_a_sample() -> None:
    torch.testing.assert_close(shares([0] * 6 + [1] * 3 + [2]), torch.tensor([0.6, 0.3, 0.1]))
    found = shares([0, 0, 0, 1, 2, 2], [True] * 4 + [False] * 2)
    torch.testing.assert_close(found, torch.tensor([3.0, 1.0, 0.5]) / 4.5)


def test_equal_logits_are_the_best_answer_to_labels_that_come_as_their_shares() -> None:
    known = torch.tensor([0.7, 0.2, 0.1])
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = logit_adjusted(logits, known[None], known).sum()
    torch.autograd.backward(loss)
    assert logits.grad is not None and logits.grad.abs().max() < 1e-6
    half = logit_adjusted(LOGITS, TARGETS, known, strength=0.5)
    torch.testing.assert_close(half, ce(LOGITS + 0.5 * known.log(), TARGETS))


def test_weights_of_classes_give_every_class_the_same_total_and_samples_one_on_the_average() -> None:
    known = torch.tensor([0.7, 0.2, 0.1])
    weights = class_weights(known)
    torch.testing.assert_close(known * weights, torch.full((3,), 1 / 3))
    torch.testing.assert_close((known * class_weights(known, 0.5)).sum(), torch.tensor(1.0))
    torch.testing.assert_close(weighted_ce(LOGITS, TARGETS, weights), ce(LOGITS, TARGETS) * weights[[0, 2]])
