"""The one-cycle policy (Smith and Topin 2018, arXiv 1708.07120, section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from autokd.declarations import Schedule
from autokd.ranges import Real
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """Rises to the peak and falls far below the start, both along half a cosine.

    The paper's ramps are linear; the cosine form is the usual one today. Momentum is not cycled.
    """

    declares = Schedule()

    warmup: Annotated[float, Real(0.1, 0.5)] = 0.3  # share of training spent rising
    div_factor: Annotated[float, Real(5.0, 50.0, log=True)] = 25.0  # peak over the learning rate at the start
    final_div_factor: float = 1e4  # peak over the learning rate at the end

    def build(self, context: BuildContext) -> Callable[[float], float]:
        """Return the share of the peak learning rate, in (0, 1], at u in [0, 1], the share of training done."""

        def factor(u: float) -> float:
            if u < self.warmup:
                return _half_cosine(1 / self.div_factor, 1.0, u / self.warmup)
            return _half_cosine(1.0, 1 / self.final_div_factor, (u - self.warmup) / (1 - self.warmup))

        return factor


def _half_cosine(start: float, end: float, done: float) -> float:
    """Move from start to end along half a cosine; `done` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
