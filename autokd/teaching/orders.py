"""Orders in which a teacher's outputs may stand for the classes, where no names say so.

An order is [C] int64: for each class of the data the number of the output that stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

ASSIGNED = "the order that fits the labels best"


def named_orders(classes: Sequence[str]) -> dict[str, Tensor]:
    """Return the orders in which tools number classes by their names, by a name for people; not the data's own order.

    >>> named_orders(["1", "10", "2"])["natural order"].tolist()
    [0, 2, 1]
    """
    ways = {
        "natural order": sorted(classes, key=_naturally),
        "order of the text": sorted(classes),
        "order of the text without upper case": sorted(classes, key=str.casefold),
        "the reverse order": list(reversed(classes)),
    }
    orders: dict[str, Tensor] = {}
    for name, outputs in ways.items():
        order = torch.tensor([outputs.index(each) for each in classes])
        if not _is_same(order) and not any(torch.equal(order, known) for known in orders.values()):
            orders[name] = order
    return orders


def _naturally(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def assigned(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the order under which the classes get most of the probability that the outputs give to their samples.

    Args:
      logits: [n, C].
      labels: [n] int64 in [0, C).
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    probabilities = logits.double().softmax(-1)
    share = torch.zeros(logits.shape[1], logits.shape[1], dtype=torch.float64).index_add_(0, labels, probabilities)
    _, outputs = linear_sum_assignment(share.numpy(), maximize=True)
    return torch.from_numpy(outputs).long()


def best_order(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> tuple[str, Tensor] | None:
    """Return the order that fits some samples best, and its name; None where that is the data's own.

    An order by names goes before the assignment where it is right about as often.

    Args:
      logits: [n, C].
      labels: [n] int64.
      classes: names, in the data's order.
    """
    named = named_orders(classes)
    orders = {**named, ASSIGNED: assigned(logits, labels)}
    right = {name: _right(logits, order, labels) for name, order in orders.items()}
    best = max(orders, key=right.__getitem__)
    close = [name for name in named if right[name] >= right[best] - len(labels) / 50]
    name = max(close, key=right.__getitem__) if close else best
    own = int((logits.argmax(1) == labels).sum())
    return None if right[name] <= own or _is_same(orders[name]) else (name, orders[name])


def crossed(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right answers under an order that was fitted on the other half of the samples."""
    half = len(labels) // 2
    parts = (slice(half), slice(half, None)), (slice(half, None), slice(half))
    right = (_right(logits[ask], assigned(logits[fit], labels[fit]), labels[ask]) for fit, ask in parts)
    return sum(right) / len(labels)


def output_names(order: Tensor, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the class that each output stands for.

    >>> output_names(torch.tensor([0, 2, 1]), ["1", "10", "2"])
    ('1', '2', '10')
    """
    return tuple(classes[place] for place in order.argsort().tolist())


def _right(logits: Tensor, order: Tensor, labels: Tensor) -> int:
    return int((logits[:, order].argmax(1) == labels).sum())


def _is_same(order: Tensor) -> bool:
    return torch.equal(order, torch.arange(len(order)))
