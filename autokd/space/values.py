"""Values of ranges: how they are drawn, written out, and brought inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autokd.ranges import Choice, Integer, Range, Real, Scalar


class Draw(Protocol):
    """Where the values of a drawn pipeline come from: a random generator, a sampler, or a fixed setting."""

    def real(self, path: str, low: float, high: float, log: bool) -> float:
        """Return a value of a range of numbers."""

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> int:
        """Return a value of a range of whole numbers."""

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        """Return one of several options."""


def suggest(draw: Draw, path: str, span: Range) -> Scalar:
    """Ask `draw` for a value of a range, under the name `path`."""
    if isinstance(span, Real):
        return draw.real(path, span.low, span.high, span.log)
    if isinstance(span, Integer):
        return draw.integer(path, span.low, span.high, span.step, span.log)
    value: Scalar = draw.choice(path, span.options)
    return value


def narrowed(span: Range) -> Range:
    """Return a range whose upper end can be reached in whole steps: 8 to 31, step 4, becomes 8 to 28, step 4.

    >>> print(narrowed(Integer(8, 31, step=4)))
    8 to 28, step 4
    """
    if not isinstance(span, Integer):
        return span
    return Integer(span.low, span.high - (span.high - span.low) % span.step, span.step, span.log, span.unit)


def edges(span: Range) -> tuple[Scalar, ...]:
    """Return the two ends of a range, or all options of a choice, without repetition.

    >>> edges(Real(0.1, 10.0)), edges(Choice("a", "b")), edges(Integer(3, 3))
    ((0.1, 10.0), ('a', 'b'), (3,))
    """
    values = span.options if isinstance(span, Choice) else (span.low, span.high)
    return tuple(dict.fromkeys(values))


def nearest_value(span: Range, value: Any) -> Scalar:
    """Return `value` where it lies inside the range, otherwise the value inside that is nearest to it.

    Where there is no number to be near to, it is the middle of the range (on its own scale), or the first option.

    >>> nearest_value(Integer(8, 28, step=4), 21), nearest_value(Choice(32, 128), 64), nearest_value(Real(1, 9), None)
    (20, 32, 5.0)
    """
    if span.contains(value):
        inside: Scalar = value
        return inside
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if isinstance(span, Choice):
        return _nearest_option(span.options, number)
    target = _middle(span) if number is None else min(max(number, span.low), span.high)
    if isinstance(span, Real):
        return float(target)
    return span.low + span.step * round((target - span.low) / span.step)


def translated(value: Scalar, ours: Range, theirs: Range) -> Scalar:
    """Return the value that has the place in their range which one has in ours; an option, the nearest.

    >>> translated(5, Integer(1, 9), Real(0.0, 1.0)), translated(8, Choice(8, 16), Choice(16, 32))
    (0.5, 16)
    """
    if isinstance(ours, Choice) or isinstance(theirs, Choice) or isinstance(value, (str, bool)):
        return nearest_value(theirs, value)
    low, high, at = (math.log(each) if ours.log else each for each in (ours.low, ours.high, value))
    place = (at - low) / (high - low) if high > low else 0.5
    low, high = (math.log(each) if theirs.log else each for each in (theirs.low, theirs.high))
    there = low + (high - low) * place
    return nearest_value(theirs, math.exp(there) if theirs.log else there)


def written(span: Range) -> dict[str, Any]:
    """Return a range as it is written in a space file.

    >>> written(Real(0.1, 10.0, log=True))
    {'float': [0.1, 10.0], 'log': True}
    """
    if isinstance(span, Choice):
        return {"choice": list(span.options)}
    if isinstance(span, Real):
        return {"float": [span.low, span.high], "log": span.log}
    return {"int": [span.low, span.high], "step": span.step, "log": span.log}


@dataclass(frozen=True)
class UnitDraw:
    """Draws every value from a number in [0, 1): evenly, or evenly in the logarithm where the range is on a log scale.

    Args:
      unit: gives the number for a path.
    """

    unit: Callable[[str], float]

    def real(self, path: str, low: float, high: float, log: bool) -> float:
        """Return the real number of [low, high] that a path's number in [0, 1) stands for."""
        if not log:
            return low + (high - low) * self.unit(path)
        return min(max(self._exponential(path, low, high), low), high)

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> int:
        """Return the whole number of low, low + step, …, high that a path's number in [0, 1) stands for."""
        if not log:
            return low + step * int(self.unit(path) * ((high - low) // step + 1))
        return min(max(round(self._exponential(path, low - 0.5, high + 0.5)), low), high)

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        """Return the option that a path's number in [0, 1) stands for; all are equally likely."""
        return options[int(self.unit(path) * len(options))]

    def _exponential(self, path: str, low: float, high: float) -> float:
        return math.exp(math.log(low) + (math.log(high) - math.log(low)) * self.unit(path))


def _nearest_option(options: Sequence[Scalar], number: float | None) -> Scalar:
    numbers = [option for option in options if isinstance(option, (int, float)) and not isinstance(option, bool)]
    if number is None or not numbers:
        return options[0]
    return min(numbers, key=lambda option: abs(option - number))


def _middle(span: Real | Integer) -> float:
    return math.sqrt(span.low * span.high) if span.log else (span.low + span.high) / 2
