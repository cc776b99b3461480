"""The parts of a space that are plain numbers: a fixed one, or one that is drawn from a range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from autokd.ranges import Range, Scalar
from autokd.space.candidate import Candidate
from autokd.space.parts import Check, Content
from autokd.space.source import Source
from autokd.space.values import suggest, written


@dataclass(frozen=True, kw_only=True)
class _Number:
    """What all parts without components have in common."""

    slot: str

    @property
    def follows(self) -> bool:
        return False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return ()

    @property
    def possible(self) -> tuple[Candidate, ...]:
        return ()

    @property
    def always(self) -> tuple[Candidate, ...]:
        return ()

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> Self:
        return self

    def changed(self, change: Callable[[Candidate], Candidate]) -> Self:
        return self


@dataclass(frozen=True, kw_only=True)
class Fixed(_Number):
    """A number that the space fixes."""

    value: Scalar

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Return the number; there is no parameter for it."""
        return Content(self.value, {})

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Return the number where nothing is said."""
        return Content(self.value if partial is None else partial, {})

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise the number and no other."""
        if value != self.value:
            problems.append(f"{self.slot}: {value!r}, but this space fixes it at {self.value!r}")
        return Content(value, {})

    def spans(self) -> dict[str, Range]:
        """Return no range."""
        return {}

    def identity(self) -> Any:
        """Return the number."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class Ranged(_Number):
    """A number that is drawn from a range.

    Args:
      slot: its path.
      span: the range.
      default: a number inside the range.
    """

    span: Range
    default: Scalar

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Draw a number of the range."""
        value = suggest(source.draw, self.slot, self.span)
        return Content(value, {self.slot: value})

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Return the default where nothing is said."""
        return Content(self.default if partial is None else partial, {})

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise any number of the range."""
        if not self.span.contains(value):
            problems.append(f"{self.slot}: {value!r} lies outside {self.span}")
        return Content(value, {self.slot: value})

    def spans(self) -> dict[str, Range]:
        """Return the range."""
        return {self.slot: self.span}

    def identity(self) -> Any:
        """Return the range as it is written in a space file."""
        return written(self.span)
