"""The part of a space that holds one component."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.errors import nearest
from autokd.ranges import Choice, Range
from autokd.space.candidate import Candidate, Params
from autokd.space.parts import Check, Content, keep
from autokd.space.source import Source


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """One component of several; with a single candidate there is nothing to choose, and no parameter for it."""

    slot: str
    candidates: tuple[Candidate, ...]

    @property
    def follows(self) -> bool:
        """Whether what it holds depends on the other slots: it does not."""
        return False

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn: all."""
        return self.candidates

    @property
    def always(self) -> tuple[Candidate, ...]:
        """What stands beside the chosen one: nothing."""
        return ()

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Draw a candidate, then its fields."""
        names = tuple(candidate.name for candidate in self.candidates)
        name = names[0] if len(names) == 1 else source.draw.choice(self.slot, names)
        candidate = self.candidates[names.index(name)]
        value, params = candidate.draw(source.draw, self._path(candidate))
        return Content(value, {**self._choice(candidate), **params}, (candidate,))

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Fill in the first candidate where none is named, and the defaults of fields."""
        stated = {} if partial is None else partial
        use = stated.get("use", self.candidates[0].use)
        candidate = self._find(use)
        if candidate is None:
            return Content({"use": use, **stated}, {})
        return Content({**candidate.default(), **stated}, {}, (candidate,))

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise a component that is one of the candidates, with values inside its ranges."""
        candidate = self._find(value["use"])
        if candidate is None:
            names = [candidate.name for candidate in self.candidates]
            problems.append(f"{self.slot}: {value['use']!r} is not in this space; {nearest(value['use'], names)}")
            return Content(value, {})
        params = candidate.fit(value, self._path(candidate), problems)
        return Content(value, {**self._choice(candidate), **params}, (candidate,))

    def spans(self) -> dict[str, Range]:
        """Return the choice, where there is one, and the ranges of every candidate."""
        spans: dict[str, Range] = {}
        if len(self.candidates) > 1:
            spans[self.slot] = Choice(*(candidate.name for candidate in self.candidates))
        for candidate in self.candidates:
            spans |= candidate.spans(self._path(candidate))
        return spans

    def identity(self) -> Any:
        """Return the candidates with all their ranges."""
        return {"one_of": {candidate.name: candidate.identity() for candidate in self.candidates}}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> OneOf:
        """Leave out the candidates that fail the check."""
        reasons: list[str] = []
        kept = keep(self.candidates, check, reasons)
        dropped += reasons
        if not kept:
            problems.append(f"{self.slot}: nothing is left to choose from ({'; '.join(reasons)})")
        return dataclasses.replace(self, candidates=kept)

    def changed(self, change: Callable[[Candidate], Candidate]) -> OneOf:
        """Put what a change makes of each candidate in its place."""
        return dataclasses.replace(self, candidates=tuple(map(change, self.candidates)))

    def _find(self, use: str) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.use == use), None)

    def _path(self, candidate: Candidate) -> str:
        return f"{self.slot}.{candidate.name}"

    def _choice(self, candidate: Candidate) -> Params:
        return {self.slot: candidate.name} if len(self.candidates) > 1 else {}
