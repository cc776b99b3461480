"""Where a drawn pipeline comes from: a sampler, or a point of the unit cube."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from autokd.space.values import Draw

FLAGS = ("off", "on")
"""The values of the parameter of a component that may stand in a pipeline."""

Members = Callable[[Sequence[str], int], Sequence[str]]
"""(paths of the candidates of a group, bound) -> the paths that are wanted, perhaps more than the bound."""


class Source(NamedTuple):
    """Where a drawn pipeline comes from.

    Args:
      draw: the values.
      members: which candidates of a group are wanted.
      number: the trial's number; seeds the order in which wanted candidates are cut.
    """

    draw: Draw
    members: Members
    number: int


def ask_members(draw: Draw) -> Members:
    """Ask for each candidate of a group apart, as a sampler models them."""
    return lambda paths, at_most: [path for path in paths if draw.choice(path, FLAGS) == "on"]


def count_members(unit: Callable[[str], float]) -> Members:
    """Draw how many first, uniformly from 0 to the bound, then which: small pipelines are as likely as big ones.

    >>> point = {"number of a, …": 0.5, "a": 0.9, "b": 0.1, "c": 0.2}
    >>> count_members(point.__getitem__)(["a", "b", "c"], 2)
    ['b']

    Args:
      unit: gives a number in [0, 1) for each path, and for `count_path` of the group.
    """

    def members(paths: Sequence[str], at_most: int) -> Sequence[str]:
        count = int(unit(count_path(paths)) * (at_most + 1))
        return sorted(paths, key=unit)[:count]

    return members


def count_path(paths: Sequence[str]) -> str:
    """Name the number of candidates drawn from a group."""
    return f"number of {paths[0]}, …"
