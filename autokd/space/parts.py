"""The parts of a search space: what may be drawn for each slot of a pipeline.

A part is a number (`Fixed`, `Ranged`), one component of several (`OneOf`), or a set of components (`AnyOf`). Paths of
what a part draws (`student`, `student.resnet.depth`, `losses.kd`, `losses.kd.temperature`) are the sampler's parameter
names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from autokd.ranges import Range
from autokd.space.candidate import Candidate, Params
from autokd.space.source import Source

Check = Callable[[Candidate], str | None]
"""Says why a candidate cannot be used, or None where it can."""


class Content(NamedTuple):
    """What a slot holds.

    Args:
      value: as plain data.
      params: the parameters that stand for it, by path.
      chosen: the candidates that are in it.
    """

    value: Any
    params: Params
    chosen: tuple[Candidate, ...] = ()


class Part(Protocol):
    """What may be drawn for one slot."""

    @property
    def follows(self) -> bool:
        """Whether it keeps out of the way of what the other slots hold, so that it is drawn after them."""
        ...

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The components that it may hold."""
        ...

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn."""
        ...

    @property
    def always(self) -> tuple[Candidate, ...]:
        """The candidates that stand in every pipeline, beside those that are chosen."""
        ...

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Draw what the slot holds, beside the components `present` in other slots."""
        ...

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Fill what a partial value (None: all of it) leaves out with defaults; the parameters are left out."""
        ...

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise a plain value; say in `problems` why the part never draws it."""
        ...

    def spans(self) -> dict[str, Range]:
        """Return the range of every parameter that can occur, by path."""
        ...

    def identity(self) -> Any:
        """Return all that makes the part what it is, as JSON-able data."""
        ...

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> Part:
        """Leave out the candidates that fail the check; say which in `dropped`, and in `problems` if none is left."""
        ...

    def changed(self, change: Callable[[Candidate], Candidate]) -> Part:
        """Put what a change makes of each candidate in its place."""
        ...


def keep(candidates: Iterable[Candidate], check: Check, dropped: list[str]) -> tuple[Candidate, ...]:
    """Return the candidates that pass a check; say in `dropped` why the others do not."""
    kept = []
    for candidate in candidates:
        if reason := check(candidate):
            dropped.append(f"{candidate.place}: {reason}")
        else:
            kept.append(candidate)
    return tuple(kept)
