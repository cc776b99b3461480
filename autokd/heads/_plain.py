"""No separate head: the student keeps its own classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from autokd.declarations import Head
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class PlainHead:
    """The student as it is."""

    declares = Head()

    def build(self, context: BuildContext) -> Callable[[nn.Module], nn.Module]:
        """Return what makes a student of a student: nothing changes."""
        return lambda student: student
