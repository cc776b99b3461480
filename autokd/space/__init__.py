"""Search spaces: reading them, resolving them for a task, drawing pipelines from them."""

from __future__ import annotations

from autokd.space.added import for_unlabelled, with_parts
from autokd.space.any_of import AnyOf, Group
from autokd.space.budget import Budget, for_data
from autokd.space.by_start import ByStart
from autokd.space.candidate import Candidate
from autokd.space.number import Fixed, Ranged
from autokd.space.one_of import OneOf
from autokd.space.pretrained import (
    begins_with_weights,
    of_start,
    restarted,
    with_weights,
    with_weights_first,
)
from autokd.space.schema import find, folder_of, parse, shipped
from autokd.space.space import Drawn, Screen, Space
from autokd.space.values import Draw

__all__ = [
    "AnyOf",
    "Budget",
    "ByStart",
    "Candidate",
    "Draw",
    "Drawn",
    "Fixed",
    "Group",
    "OneOf",
    "Ranged",
    "Screen",
    "Space",
    "begins_with_weights",
    "find",
    "folder_of",
    "for_data",
    "for_unlabelled",
    "of_start",
    "parse",
    "restarted",
    "shipped",
    "with_parts",
    "with_weights",
    "with_weights_first",
]
