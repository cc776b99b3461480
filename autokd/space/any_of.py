"""The part of a space that holds a set of components."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.errors import nearest
from autokd.ranges import Choice, Range
from autokd.space import together
from autokd.space.candidate import Candidate, Params
from autokd.space.parts import Check, Content, keep
from autokd.space.source import FLAGS, Source
from autokd.space.windows import uncovered


@dataclass(frozen=True, kw_only=True)
class Group:
    """At most so many of these candidates; the bound is never above their number."""

    at_most: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """Components that always stand in the pipeline, and groups of which some may.

    Each candidate of a group is one parameter, "off" or "on". What a component of another slot requires is wanted
    before all else; more wanted candidates than the group's bound, and candidates that may not stand beside the rest,
    are cut; what is left is what the parameters say.
    """

    slot: str
    always: tuple[Candidate, ...]
    groups: tuple[Group, ...]

    @property
    def follows(self) -> bool:
        """Whether what it holds depends on the other slots: it does."""
        return True

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Those that are always there, then those of the groups, in the order of the file."""
        return (*self.always, *(candidate for group in self.groups for candidate in group.candidates))

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn: not those of a group of which none may stand in a pipeline."""
        return (*self.always, *(candidate for group in self._open() for candidate in group.candidates))

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Draw which candidates are wanted, cut what may not stand together, then draw the fields of the rest."""
        wanted = [path for group in self._open() for path in source.members(self._paths(group), group.at_most)]
        kept = self._cut(wanted, present, source.number)
        plain: dict[str, Any] = {}
        params = self._flags(kept)
        for candidate in kept:
            plain[candidate.name], drawn = candidate.draw(source.draw, self._path(candidate))
            params |= drawn
        return Content(plain, params, kept)

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Fill in what is always there, what components of other slots require, and the defaults of fields."""
        by_name = {candidate.name: candidate for candidate in self.candidates}
        stated = {
            key: by_name[key].plain({**by_name[key].defaults, **value}) if key in by_name else dict(value)
            for key, value in ({} if partial is None else partial).items()
        }
        required = [c for c in self.possible if c.full_name in together.required_by(present)]
        replaced = self._replaced_by(stated)
        defaults = {c.name: c.default() for c in (*required, *self.always) if c.full_name not in replaced}
        value = {**defaults, **stated}
        return Content(value, {}, tuple(candidate for candidate in self.candidates if candidate.name in value))

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise a set of candidates that may stand together, with values inside their ranges."""
        by_name = {candidate.name: candidate for candidate in self.candidates}
        problems += [
            f"{self.slot}.{key}: is not in this space; {nearest(key, by_name)}" for key in value if key not in by_name
        ]
        problems += self._wrong_places(value)
        chosen = tuple(candidate for candidate in self.candidates if candidate.name in value)
        problems += self._illegal(chosen, present)
        params = self._flags(chosen)
        for candidate in chosen:
            path, plain = self._path(candidate), value[candidate.name]
            if plain.get("use", candidate.use) != candidate.use:
                problems.append(f"{path}: uses {plain['use']!r}, in this space {candidate.use!r}")
            else:
                params |= candidate.fit(plain, path, problems)
        return Content(value, params, chosen)

    def spans(self) -> dict[str, Range]:
        """Return the ranges of what is always there, then a flag and the ranges of each candidate of a group."""
        spans: dict[str, Range] = {}
        for candidate in self.always:
            spans |= candidate.spans(self._path(candidate))
        for group in self._open():
            for candidate in group.candidates:
                spans[self._path(candidate)] = Choice(*FLAGS)
                spans |= candidate.spans(self._path(candidate))
        return spans

    def identity(self) -> Any:
        """Return the candidates with all their ranges, and the bounds of the groups."""
        groups = [
            {"at_most": group.at_most, "from": {candidate.name: candidate.identity() for candidate in group.candidates}}
            for group in self.groups
        ]
        return {"always": {candidate.name: candidate.identity() for candidate in self.always}, "any_of": groups}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> AnyOf:
        """Leave out the candidates that fail the check, and the groups that are empty then."""
        always = keep(self.always, check, dropped)
        kept = [(group.at_most, keep(group.candidates, check, dropped)) for group in self.groups]
        if not always:
            problems.append(f"{self.slot}.always: nothing is left; it needs at least one that fits this data")
        elif found := uncovered(always):
            problems.append(f"{self.slot}.always: {found}")
        groups = tuple(
            Group(at_most=min(at_most, len(candidates)), candidates=candidates)
            for at_most, candidates in kept
            if candidates
        )
        return dataclasses.replace(self, always=always, groups=groups)

    def changed(self, change: Callable[[Candidate], Candidate]) -> AnyOf:
        """Put what a change makes of each candidate in its place."""
        groups = (dataclasses.replace(group, candidates=tuple(map(change, group.candidates))) for group in self.groups)
        return dataclasses.replace(self, always=tuple(map(change, self.always)), groups=tuple(groups))

    def kept_beside(self, new: Collection[str], names: Collection[str]) -> list[str]:
        """Return which of some names stay where new ones are to stand among the candidates.

        It is what is always there, or stands in the place of that, unless a new one takes the place.
        """
        lasting = {candidate.full_name for candidate in self.always}
        taken = self._replaced_by(new) & lasting
        return [
            c.name for c in self.candidates if c.name in names and (lasting - taken) & {c.full_name, *c.traits.replaces}
        ]

    def _wrong_places(self, names: Collection[str]) -> list[str]:
        """Say what is missing of what is always there, and what is there although another one has its place."""
        replaced = self._replaced_by(names)
        missing = [c for c in self.always if c.name not in names and c.full_name not in replaced]
        both = [c for c in self.candidates if c.name in names and c.full_name in replaced]
        return [
            *(f"{self._path(c)}: must be there" for c in missing),
            *(f"{self._path(c)}: has another one in its place" for c in both),
        ]

    def _replaced_by(self, names: Collection[str]) -> set[str]:
        """Full names of what some candidates stand in the place of."""
        return {name for c in self.candidates if c.name in names for name in c.traits.replaces}

    def _cut(self, wanted: Sequence[str], present: Sequence[Candidate], number: int) -> tuple[Candidate, ...]:
        """Return what may stand together of the wanted candidates, in the order of the file."""
        required = together.required_by(present)
        kept = list(self.always)
        for index, group in enumerate(self.groups):
            asked = [c for c in group.candidates if self._path(c) in wanted or c.full_name in required]
            order = together.cut_order(asked, required, number, index)
            kept += together.compatible(order, group.at_most, (*present, *kept))
        supported = together.supported(together.without_replaced(kept), self.always, present)
        return tuple(candidate for candidate in self.candidates if candidate in supported)

    def _illegal(self, chosen: Sequence[Candidate], present: Sequence[Candidate]) -> list[str]:
        """Say what makes a set of components one that this space never draws."""
        problems = []
        for group in self.groups:
            members = [candidate.name for candidate in chosen if candidate in group.candidates]
            if len(members) > group.at_most:
                problems.append(f"{self.slot}: {len(members)} of {', '.join(members)}, at most {group.at_most}")
        return problems + together.conflicts(self.slot, chosen, present)

    def _flags(self, kept: Sequence[Candidate]) -> Params:
        return {self._path(c): FLAGS[c in kept] for group in self._open() for c in group.candidates}

    def _open(self) -> list[Group]:
        return [group for group in self.groups if group.at_most]

    def _paths(self, group: Group) -> list[str]:
        return [self._path(candidate) for candidate in group.candidates]

    def _path(self, candidate: Candidate) -> str:
        return f"{self.slot}.{candidate.name}"
