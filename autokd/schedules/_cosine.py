"""Cosine decay after a linear warm-up (Loshchilov and Hutter, ICLR 2017, arXiv 1608.03983, eq. 5, one cycle)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from autokd.declarations import Schedule
from autokd.ranges import Real
from autokd.types import BuildContext

_START = 0.01  # factor at the very first step of a warm-up


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Rises linearly from 1 % of the peak, then falls along half a cosine."""

    declares = Schedule()

    warmup: Annotated[float, Real(0.0, 0.2)] = 0.05  # share of training spent rising
    final: Annotated[float, Real(1e-4, 0.1, log=True)] = 1e-3  # share of the peak left at the end

    def build(self, context: BuildContext) -> Callable[[float], float]:
        """Return the share of the peak learning rate, in (0, 1], at u in [0, 1], the share of training done."""

        def factor(u: float) -> float:
            if u < self.warmup:
                return _START + (1 - _START) * u / self.warmup
            done = (u - self.warmup) / (1 - self.warmup)
            return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

        return factor
