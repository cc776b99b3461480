"""Trees as a network: known values, thresholds between two float32 numbers, rows apart from each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from autokd.networks.models import NetworkTeacher
from autokd.networks.trees import FLOOR, Link, Tree, TreeEnsemble, arrays_of
from autokd.types import Shapes, Task


def tree(threshold: float, low: list[float], high: list[float]) -> Tree:
    """One question, about column 1."""
    value = np.array([[9.0] * len(low), low, high])
    return Tree(np.array([1, 0, 0]), np.array([threshold, 0, 0]), np.array([1, -1, -1]), np.array([2, -1, -1]), value)


def deep() -> Tree:
    """x1 <= 0: a; else x0 <= 1: b, else c."""
    value = np.array([[9.0, 9], [1, 0], [9, 9], [0.5, 0.5], [0, 1]])
    left, right = np.array([1, -1, 3, -1, -1]), np.array([2, -1, 4, -1, -1])
    return Tree(np.array([1, 0, 0, 0, 0]), np.array([0.0, 0, 1, 0, 0]), left, right, value)


def ensemble(trees: list[Tree], link: Link, base: tuple[float, ...] = (0.0, 0.0)) -> TreeEnsemble:
    return TreeEnsemble(arrays_of(trees, np.array(base)), link)


def test_a_row_reaches_its_leaf_in_trees_of_any_depth() -> None:
    network = ensemble([tree(0.0, [0, 0], [0, 0]), deep()], "probabilities")
    rows = torch.tensor([[5.0, 0.0], [1.0, 0.1], [1.1, 0.1]])
    expected = torch.tensor([[0.0, math.log(FLOOR)], [math.log(0.5)] * 2, [math.log(FLOOR), 0.0]])
    torch.testing.assert_close(network(rows), expected)


def test_boosted_trees_of_each_class_take_turns() -> None:
    """Two rounds of three classes: the sums are base + both rounds."""
    trees = [tree(0.0, [float(number)], [-float(number)]) for number in range(6)]
    network = ensemble(trees, "logits", (0.5, 0.0, 0.0))
    sums = torch.tensor([[0.5 + 0 + 3, 1 + 4, 2 + 5], [0.5 - 3, -5, -7]])
    torch.testing.assert_close(network(torch.tensor([[0.0, -1.0], [0.0, 1.0]])), sums.log_softmax(-1))


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_a_threshold_between_two_numbers_of_single_precision_divides_them(side: int) -> None:
    row = np.float32(0.1)
    threshold = float(row) + side * 1e-12
    network = ensemble([tree(threshold, [1, 0], [0, 1])], "probabilities")
    went_left = network(torch.tensor([[0.0, float(row)]])).argmax(1).item() == 0
    assert went_left == (float(row) <= threshold)


def test_rows_are_answered_one_by_one_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ensemble([deep(), tree(0.3, [0.2, 0.8], [0.7, 0.3])], "probabilities")
    rows = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    together = network(rows)
    assert torch.equal(torch.cat([network(row[None]) for row in rows]), together)
    monkeypatch.setattr("autokd.networks.trees.BLOCK", 6)
    assert torch.equal(network(rows), together)
    assert torch.equal(network(rows.t().contiguous().t()), together)


def test_leaves_that_say_the_same_are_kept_once() -> None:
    state = arrays_of([tree(0.0, [1, 0], [0, 1]), tree(1.0, [0, 1], [1, 0])], np.zeros(2))
    assert state["value"].shape == (2, 2)
    assert sum(parameter.numel() for parameter in TreeEnsemble(state, "probabilities").parameters()) == 6 + 4


def test_a_tree_of_one_leaf_needs_no_step() -> None:
    stump = Tree(np.array([-2]), np.array([-2.0]), np.array([-1]), np.array([-1]), np.array([[0.25, 0.75]]))
    network = ensemble([stump], "probabilities")
    torch.testing.assert_close(network(torch.zeros(3, 2)).exp(), torch.tensor([[0.25, 0.75]] * 3))


def test_as_a_teacher_it_offers_logits_alone() -> None:
    task = Task(dataset="t", modality="table", input_shape=(2,), classes=("a", "b"), train_size=4)
    teacher = NetworkTeacher([ensemble([deep()], "probabilities")], task, origin="trees", identity="forest")
    assert teacher.offers == Shapes() and teacher.head is None and teacher.params == 5 + 6
    assert not any(parameter.requires_grad for parameter in teacher.modules.parameters())
    boosted = NetworkTeacher([ensemble([deep()], "logits")], task, origin="trees", identity="gradient boosting")
    assert boosted.fingerprint != teacher.fingerprint
