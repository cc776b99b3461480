"""Random weights, as the student's architecture draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from autokd.declarations import Init
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class RandomStart:
    """The student as its architecture makes it."""

    declares = Init()

    def build(self, context: BuildContext) -> Callable[[nn.Module], str]:
        """Return what sets a student's weights: nothing changes."""
        return lambda student: ""
