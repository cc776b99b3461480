"""What counts as clearly better, as guessing, and in which orders outputs may stand."""

from __future__ import annotations

import torch
from scipy.stats import binomtest

from autokd.teaching.evidence import gain, guess
from autokd.teaching.orders import ASSIGNED, assigned, best_order, crossed, named_orders


def rights(both: int, won: int, lost: int, neither: int) -> tuple[torch.Tensor, torch.Tensor]:
    before = [True] * both + [False] * won + [True] * lost + [False] * neither
    after = [True] * both + [True] * won + [False] * lost + [False] * neither
    return torch.tensor(before), torch.tensor(after)


def test_the_test_is_mcnemars() -> None:
    found = gain(*rights(50, 14, 6, 30))
    assert abs(found.p - binomtest(14, 20, 0.5, alternative="greater").pvalue) < 1e-12
    assert not found.is_clear and (found.before, found.after, found.n) == (0.56, 0.64, 100)
    assert found.low < 0.08 < found.high
    # Agresti and Min: (won - lost) / (n + 2) and its standard error
    assert abs((found.low + found.high) / 2 - 8 / 102) < 1e-12
    assert abs((found.high - found.low) / 2 - 1.959964 * ((20 + 1 - 64 / 102) ** 0.5 / 102)) < 1e-12
    assert gain(*rights(50, 30, 6, 14)).is_clear
    assert not gain(*rights(90, 0, 0, 10)).is_clear


def test_guesses() -> None:
    labels = torch.arange(10).repeat(30)
    assert guess(torch.full((300,), 3), labels).is_all
    assert not guess(torch.where(torch.arange(300) < 90, labels, 3), labels).is_all
    hardly = torch.where(torch.arange(300) < 8, labels, 3)  # significant, and of no use
    assert guess(hardly, labels).p < 0.05 and guess(hardly, labels).is_all
    rare = torch.tensor([0] * 95 + [1] * 5)
    assert guess(torch.zeros(100, dtype=torch.long), rare).is_all  # as often right as its commonest class
    assert guess(torch.zeros(100, dtype=torch.long), rare).share == 0.95
    worse = torch.where((torch.arange(100) < 90) | (rare == 1), rare, 1)  # right less often, and yet it knows something
    assert not guess(worse, rare).is_all


def test_orders_by_name_and_by_assignment() -> None:
    assert named_orders(["a", "b"]).keys() == {"the reverse order"}
    names = ["1", "10", "2"]
    labels = torch.arange(3).repeat(40)
    place = torch.tensor([0, 2, 1])  # the output of each class: outputs stand for 1, 2, 10
    logits = torch.nn.functional.one_hot(place[labels], 3).float() * 5
    name, order = best_order(logits, labels, names) or ("", torch.tensor([]))
    assert name == "natural order" and torch.equal(order, place)
    assert torch.equal(assigned(logits, labels), place) and crossed(logits, labels) == 1.0
    place = torch.tensor([1, 2, 0])
    logits = torch.nn.functional.one_hot(place[labels], 3).float() * 5
    name, order = best_order(logits, labels, names) or ("", torch.tensor([]))
    assert name == ASSIGNED and torch.equal(order, place)
    assert best_order(torch.nn.functional.one_hot(labels, 3).float(), labels, names) is None
