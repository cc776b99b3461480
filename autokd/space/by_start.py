"""Parts of a space that differ with how the student begins: with weights that were learned before, or at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.ranges import Range
from autokd.space.candidate import Candidate
from autokd.space.one_of import OneOf
from autokd.space.parts import Check, Content, Part
from autokd.space.source import Source
from autokd.space.values import translated
from autokd.spec import Slot, Slots, network_slot


@dataclass(frozen=True, kw_only=True)
class ByStart:
    """The part of a space that holds one component: one of some where the student begins with weights, else of others.

    Args:
      slot: its own; it stands behind those of what brings weights.
      at_random, from_weights: what it may hold; the latter's parameters have paths of their own.
      bringing: full names of the components that bring weights.
    """

    slot: str
    at_random: OneOf
    from_weights: OneOf
    bringing: frozenset[str]

    @property
    def follows(self) -> bool:
        """Whether it keeps out of the way of what the other slots hold: it does not."""
        return False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All of both."""
        return (*self.at_random.candidates, *self.from_weights.candidates)

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn: all."""
        return self.candidates

    @property
    def always(self) -> tuple[Candidate, ...]:
        """What stands beside the chosen one: nothing."""
        return ()

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Draw what is for the start that is there."""
        return self._beside(present).draw(source, present)

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Fill in what is for the start that is there."""
        return self._beside(present).complete(partial, present)

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise what is for the start that is there."""
        return self._beside(present).fit(value, present, problems)

    def spans(self) -> dict[str, Range]:
        """Return the ranges of both."""
        return {**self.at_random.spans(), **self.from_weights.spans()}

    def identity(self) -> Any:
        """Return the candidates of both, as the file has them."""
        return {**self.at_random.identity(), "from_weights": self.from_weights.identity()["one_of"]}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> ByStart:
        """Leave out the candidates that fail the check."""
        at_random, from_weights = (
            part.filtered(check, dropped, problems) for part in (self.at_random, self.from_weights)
        )
        return dataclasses.replace(self, at_random=at_random, from_weights=from_weights)

    def changed(self, change: Callable[[Candidate], Candidate]) -> ByStart:
        """Put what a change makes of each candidate in its place."""
        at_random, from_weights = self.at_random.changed(change), self.from_weights.changed(change)
        return dataclasses.replace(self, at_random=at_random, from_weights=from_weights)

    def of(self, weights: bool) -> OneOf:
        """Return the part for students that begin with weights, or for those that begin at random."""
        return self.from_weights if weights else self.at_random

    def translated(self, value: Mapping[str, Any], *, made_for: bool, to: bool) -> dict[str, Any]:
        """Return what a component for one start is for the other: each drawn value keeps its place in the range.

        Args:
          value: plain.
          made_for, to: whether the student begins with weights.
        """
        ours, theirs = (
            next((each for each in self.of(weights).candidates if each.use == value["use"]), None)
            for weights in (made_for, to)
        )
        if made_for == to or ours is None or theirs is None:
            return dict(value)
        both = ours.ranges.keys() & theirs.ranges.keys() & value.keys()
        moved = {key: translated(value[key], ours.ranges[key], theirs.ranges[key]) for key in both}
        return {**theirs.default(), **moved}

    def _beside(self, present: Sequence[Candidate]) -> OneOf:
        return self.of(any(each.full_name in self.bringing for each in present))


def bringing(parts: Mapping[str, Part], table: Slots) -> frozenset[str]:
    """Return the full names of the components that bring weights: students made of the teacher, starts from files."""
    starts = [name for name, slot in table.items() if isinstance(slot, Slot) and slot.sets_network]
    copied = [each for each in _candidates(parts, network_slot(table)) if each.traits.copies]
    read = [each for name in starts for each in _candidates(parts, name) if each.traits.file]
    return frozenset(each.full_name for each in (*copied, *read))


def _candidates(parts: Mapping[str, Part], slot: str) -> Sequence[Candidate]:
    return parts[slot].candidates if slot in parts else ()


def begin_with_weights(parts: Mapping[str, Part], table: Slots) -> bool:
    """Whether all students of some parts begin with weights."""
    found = bringing(parts, table)
    held = ({each.full_name for each in part.candidates} for part in parts.values())
    return any(names and names <= found for names in held)


def by_start(parts: Mapping[str, Part], from_weights: Mapping[str, Part], table: Slots) -> dict[str, Part]:
    """Return the parts of a space with what they hold for students that begin with weights.

    It takes the place of the others where all students do, and stands beside them where some do.

    Args:
      parts: by slot.
      from_weights: what is for students that begin with weights, by slot.
      table: the slots of a pipeline.
    """
    plain = {name: part.at_random if isinstance(part, ByStart) else part for name, part in parts.items()}
    found = bringing(plain, table)
    if begin_with_weights(plain, table):
        return {**plain, **from_weights}
    return {**plain, **(_beside(plain, from_weights, found) if found else {})}


def _beside(parts: Mapping[str, Part], from_weights: Mapping[str, Part], found: frozenset[str]) -> dict[str, Part]:
    both = ((name, parts.get(name), gentle) for name, gentle in from_weights.items())
    return {
        name: ByStart(
            slot=name,
            at_random=part,
            from_weights=dataclasses.replace(gentle, slot=f"{name}.from_weights"),
            bringing=found,
        )
        for name, part, gentle in both
        if isinstance(part, OneOf) and isinstance(gentle, OneOf)
    }
