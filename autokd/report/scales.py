"""Where a value lies on the axis of a small picture, in percent of its width, and which values the axis names.

The pictures are drawn by the macros of `svg.html.jinja`; a scale is all that they need of Python. Percent, so that a
picture is as wide as its place while its marks and lines keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autokd.metrics import Metric
from autokd.report import words

WANTED = 5
"""Ticks that an axis is given, about."""
ROOM = 0.06
"""Of the width, left free on both sides of the outermost value."""
APART = 10.0
"""Percent of the width that the names of two ticks are apart at least."""


class Tick(NamedTuple):
    """A named value of an axis: where it lies, percent, its text, and the value as it is written there."""

    at: float
    text: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis.

    Args:
      low, high: the values at its ends.
      bend: what values are drawn by: themselves, or their logarithm; rises strictly.
      ticks: the values that are named, the smallest first.
    """

    low: float
    high: float
    bend: Callable[[float], float]
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> float:
        """Return where a value lies, 0 to 100; values beyond an end lie on it.

        >>> linear([0.0, 10.0], str, room=0.0).at(2.5)
        25.0
        """
        low, high = self.bend(self.low), self.bend(self.high)
        share = (self.bend(min(max(value, self.low), self.high)) - low) / ((high - low) or 1.0)
        return round(100 * share, 2)

    def stacked(self, values: Sequence[float], *, apart: float = 1.2) -> list[tuple[float, int]]:
        """Return (place, level) of each value: those that would cover one another stand on higher levels.

        Args:
          values: to be drawn as dots.
          apart: percent of the width below which two dots cover one another.
        """
        placed: list[tuple[float, int]] = []
        for place in sorted(map(self.at, values)):
            taken = {level for other, level in placed if abs(other - place) < apart}
            placed.append((place, next(level for level in range(len(values)) if level not in taken)))
        return placed


def linear(
    values: Iterable[float],
    text: Callable[[float], str],
    *,
    room: float = ROOM,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Scale:
    """Return a linear axis over values.

    Args:
      values: all that is to be drawn, at least one.
      text: of a tick's value.
      room: share of the width left free on both sides.
      within: bounds that the axis does not cross, for instance 0 and 1 for a share.
    """
    known = list(values)
    low, high = _widened(min(known), max(known), room, within)
    return _named(Scale(low=low, high=high, bend=float), [(tick, text(tick)) for tick in _round_values(low, high)])


def of_metric(values: Iterable[float], metric: Metric, *, room: float = ROOM) -> Scale:
    """Return a linear axis for values of a metric, its ticks without the unit."""
    shown = linear(
        [metric.scale * value for value in values],
        _short,
        room=room,
        within=(metric.scale * metric.low, metric.scale * metric.high),
    )
    low, high = shown.low / metric.scale, shown.high / metric.scale
    return Scale(low=low, high=high, bend=float, ticks=shown.ticks)


def of_difference(values: Iterable[float], metric: Metric) -> Scale:
    """Return a linear axis for differences of a metric, 0 among them, its ticks signed and without the unit."""
    shown = linear([0.0, *(metric.scale * value for value in values)], lambda tick: _short(tick, "+"))
    return Scale(low=shown.low / metric.scale, high=shown.high / metric.scale, bend=float, ticks=shown.ticks)


def of_error(scores: Iterable[float], metric: Metric, *, smallest: float) -> Scale:
    """Return an axis of scores by the logarithm of their error, the distance from the perfect value; better is higher.

    Accuracies of 90, 99 and 99.9 % are equally far apart.

    Args:
      scores: all that is to be drawn, at least one; more is better.
      metric: that they are of; its values are what ticks name.
      smallest: error that stands for none at all, above 0.
    """
    perfect = metric.score(metric.perfect)

    def bend(score: float) -> float:
        return -math.log10(max(perfect - score, smallest))

    known = list(scores)
    places = [bend(score) for score in known]
    room = max(ROOM * (max(places) - min(places)), 0.02)
    low, high = (perfect - 10.0**-place for place in (min(places) - room, max(places) + room))
    worst = metric.score(metric.worst)
    scale = Scale(low=max(low, worst) if math.isfinite(worst) else low, high=high, bend=bend)
    errors = sorted((digit * 10.0**decade for decade in range(-6, 3) for digit in (1, 2, 5)), reverse=True)
    inside = [perfect - error for error in errors if scale.low <= perfect - error <= scale.high]
    return _named(scale, [(score, _short(metric.scale * metric.value(score))) for score in inside])


def logarithmic(values: Iterable[float], text: Callable[[float], str] = words.compact) -> Scale:
    """Return a logarithmic axis over values above 0; where few round numbers lie on it, it names the values themselves.

    Args:
      values: all that is to be drawn, at least one.
      text: of a tick's value.
    """
    known = sorted(set(values))
    low, high = known[0], known[-1]
    factor = max((high / low) ** ROOM, 1.05)
    scale = Scale(low=low / factor, high=high * factor, bend=math.log10)
    inside = [tick for tick in words.ticks(scale.low, scale.high) if scale.low <= tick <= scale.high]
    marks = inside if len(inside) > 2 else known
    return _named(scale, [(tick, text(tick)) for tick in marks])


def _named(scale: Scale, marks: Iterable[tuple[float, str]]) -> Scale:
    """A scale with the ticks of these values, as far as their texts have room."""
    ticks = tuple(_with_room(Tick(scale.at(value), text, value) for value, text in marks))
    return Scale(low=scale.low, high=scale.high, bend=scale.bend, ticks=ticks)


def _with_room(ticks: Iterable[Tick]) -> Iterator[Tick]:
    last = -math.inf
    for tick in ticks:
        if tick.at - last >= APART:
            last = tick.at
            yield tick


def _widened(low: float, high: float, room: float, within: tuple[float, float]) -> tuple[float, float]:
    margin = room * (high - low) if high > low else 0.5 * (abs(high) or 1.0) * max(room, 0.01)
    return max(within[0], low - margin), min(within[1], high + margin)


def _round_values(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within an axis, about `WANTED`."""
    if not high > low:
        return [low]
    rough = (high - low) / WANTED
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= rough * 0.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _short(value: float, sign: str = "") -> str:
    """A tick's value: "97.5", "−0.2"; `sign` is "+" for differences; 0 has none."""
    return "0" if value == 0 else f"{value:{sign}.6g}".replace("-", "−")
