"""What a component's field may range over: `Real`, `Integer`, `Choice`.

A range stands in the field's annotation, beside its default:

    temperature: Annotated[float, Real(1.0, 8.0)] = 4.0
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Real:
    """A real number in [low, high]; on a log scale where `log`.

    Args:
      low, high: bounds, inclusive; low > 0 where `log`.
      log: draw log-uniformly.
      unit: unit of the number, for people ("epochs", "share of the side"); "" for none.
    Example:
      >>> rate = Real(0.01, 1.0, log=True)
      >>> str(rate), rate.contains(0.1), rate.contains(0)
      ('0.01 to 1, log', True, False)
    """

    low: float
    high: float
    log: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range needs finite low <= high, got [{self.low}, {self.high}]")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range needs low > 0, got {self.low}")

    def contains(self, value: Any) -> bool:
        """Whether a value lies in the range; True and False are no numbers."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Integer:
    """A whole number low, low + step, … up to high; on a log scale where `log` (then step is 1).

    Example:
      >>> width = Integer(4, 12, step=4)
      >>> str(width), width.contains(8), width.contains(9)
      ('4 to 12, step 4', True, False)
    """

    low: int
    high: int
    step: int = 1
    log: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if self.low > self.high or self.step < 1:
            raise ValueError(f"an integer range needs low <= high and step >= 1, got {self}")
        if self.log and (self.low <= 0 or self.step != 1):
            raise ValueError(f"a log range needs low > 0 and step 1, got {self}")

    def contains(self, value: Any) -> bool:
        """Whether a value lies in the range; True and False are no numbers."""
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
            and (value - self.low) % self.step == 0
        )

    def __str__(self) -> str:
        step = f", step {self.step}" if self.step != 1 else ""
        return f"{self.low} to {self.high}{step}{', log' if self.log else ''}"


@dataclass(frozen=True, init=False)
class Choice:
    """One of a few values, in their order.

    Example:
      >>> depth = Choice(8, 14, 20)
      >>> str(depth), depth.contains(14), depth.contains(15)
      ('one of 8, 14, 20', True, False)
    """

    options: tuple[Scalar, ...]
    unit: str = ""

    def __init__(self, *options: Scalar, unit: str = "") -> None:
        if not options:
            raise ValueError("a choice needs at least one option")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "unit", unit)

    def contains(self, value: Any) -> bool:
        """Whether a value is one of the options; True is not 1."""
        return any(value == option and isinstance(value, bool) == isinstance(option, bool) for option in self.options)

    def __str__(self) -> str:
        return "one of " + ", ".join(str(option) for option in self.options)


Range = Real | Integer | Choice
