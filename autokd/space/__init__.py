"""Search spaces: reading them, resolving them for a task, drawing pipelines from them."""

from __future__ import annotations

from autokd.space.budget import Budget
from autokd.space.candidate import Candidate
from autokd.space.parts import Group, Number, OneOf, Several
from autokd.space.schema import find, parse, shipped
from autokd.space.space import Drawn, Screen, Space
from autokd.space.values import Draw

__all__ = [
    "Budget",
    "Candidate",
    "Draw",
    "Drawn",
    "Group",
    "Number",
    "OneOf",
    "Screen",
    "Several",
    "Space",
    "find",
    "parse",
    "shipped",
]
