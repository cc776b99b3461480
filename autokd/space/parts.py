"""The parts of a search space: what may be drawn for each slot of a pipeline.

A part is a number (`Number`), one component of several (`OneOf`), or a set of components (`Several`). Paths of what a
part draws (`student`, `student.resnet.depth`, `losses.kd`, `losses.kd.temperature`) are the sampler's parameter names.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from autokd.errors import nearest
from autokd.ranges import Choice, Range
from autokd.space.candidate import Candidate, Params, clash, lacks
from autokd.space.values import Draw, suggest, written

Check = Callable[[Candidate], str | None]
"""Says why a candidate cannot be used, or None where it can."""

FLAGS = ("off", "on")


class Source(NamedTuple):
    """Where a drawn pipeline comes from.

    Args:
      draw: the values.
      members: (paths of the candidates of a group, bound) -> the paths that are wanted, perhaps more than the bound.
      number: the trial's number; seeds the order in which wanted candidates are cut.
    """

    draw: Draw
    members: Callable[[Sequence[str], int], Sequence[str]]
    number: int


class Found(NamedTuple):
    """What a part drew, or recognised: its plain value, its parameters, and the components in it."""

    value: Any
    params: Params
    chosen: tuple[Candidate, ...] = ()


class Part(Protocol):
    """What may be drawn for one slot."""

    @property
    def candidates(self) -> tuple[Candidate, ...]: ...

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn."""
        ...

    def draw(self, source: Source, present: Sequence[Candidate]) -> Found: ...

    def default(self) -> Any: ...

    def complete(self, partial: Any) -> Any:
        """Fill what a partial value leaves out with defaults."""
        ...

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Found: ...

    def spans(self) -> dict[str, Range]: ...

    def identity(self) -> Any: ...

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> Part:
        """Leave out the candidates that fail the check; say which in `dropped`, and in `problems` if none is left."""
        ...


@dataclass(frozen=True, kw_only=True)
class Number:
    """A plain hyper-parameter: a range, or a fixed number (span None)."""

    slot: str
    span: Range | None
    value: int
    candidates: tuple[Candidate, ...] = ()
    possible: tuple[Candidate, ...] = ()

    def draw(self, source: Source, present: Sequence[Candidate]) -> Found:
        if self.span is None:
            return Found(self.value, {})
        value = suggest(source.draw, self.slot, self.span)
        return Found(value, {self.slot: value})

    def default(self) -> int:
        return self.value

    def complete(self, partial: Any) -> Any:
        return partial

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Found:
        if self.span is None:
            if value != self.value:
                problems.append(f"{self.slot}: {value!r}, but this space fixes it at {self.value!r}")
            return Found(value, {})
        if not self.span.contains(value):
            problems.append(f"{self.slot}: {value!r} lies outside {self.span}")
        return Found(value, {self.slot: value})

    def spans(self) -> dict[str, Range]:
        return {} if self.span is None else {self.slot: self.span}

    def identity(self) -> Any:
        return self.value if self.span is None else written(self.span)

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> Number:
        return self


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """One component of several; with a single candidate there is nothing to choose, and no parameter for it."""

    slot: str
    candidates: tuple[Candidate, ...]

    @property
    def possible(self) -> tuple[Candidate, ...]:
        return self.candidates

    def draw(self, source: Source, present: Sequence[Candidate]) -> Found:
        names = tuple(candidate.name for candidate in self.candidates)
        name = names[0] if len(names) == 1 else source.draw.choice(self.slot, names)
        candidate = self.candidates[names.index(name)]
        value, params = candidate.draw(source.draw, self._path(candidate))
        return Found(value, {**self._choice(candidate), **params}, (candidate,))

    def default(self) -> dict[str, Any]:
        return self.candidates[0].default()

    def complete(self, partial: Any) -> Any:
        use = partial.get("use", self.candidates[0].use)
        candidate = self.find(use)
        return {**(candidate.default() if candidate else {"use": use}), **partial}

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Found:
        candidate = self.find(value["use"])
        if candidate is None:
            names = [candidate.name for candidate in self.candidates]
            problems.append(f"{self.slot}: {value['use']!r} is not in this space; {nearest(value['use'], names)}")
            return Found(value, {})
        params = candidate.fit(value, self._path(candidate), problems)
        return Found(value, {**self._choice(candidate), **params}, (candidate,))

    def spans(self) -> dict[str, Range]:
        found: dict[str, Range] = {}
        if len(self.candidates) > 1:
            found[self.slot] = Choice(*(candidate.name for candidate in self.candidates))
        for candidate in self.candidates:
            found |= candidate.spans(self._path(candidate))
        return found

    def identity(self) -> Any:
        return {"one_of": {candidate.name: candidate.identity() for candidate in self.candidates}}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> OneOf:
        reasons: list[str] = []
        kept = _keep(self.candidates, check, reasons)
        dropped += reasons
        if not kept:
            problems.append(f"{self.slot}: nothing is left to choose from ({'; '.join(reasons)})")
        return dataclasses.replace(self, candidates=kept)

    def find(self, use: str) -> Candidate | None:
        """Return the candidate that uses a component, or None."""
        return next((candidate for candidate in self.candidates if candidate.use == use), None)

    def _path(self, candidate: Candidate) -> str:
        return f"{self.slot}.{candidate.name}"

    def _choice(self, candidate: Candidate) -> Params:
        return {self.slot: candidate.name} if len(self.candidates) > 1 else {}


@dataclass(frozen=True, kw_only=True)
class Group:
    """At most so many of these candidates; the bound is never above their number."""

    at_most: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class Several:
    """Components that always stand in the pipeline, and groups of which some may.

    Each candidate of a group is one parameter, "off" or "on". What a component of another slot requires is wanted
    before all else; more wanted candidates than the group's bound, and candidates that may not stand beside the rest,
    are cut; what is left is what the parameters say.
    """

    slot: str
    always: tuple[Candidate, ...]
    groups: tuple[Group, ...]

    def draw(self, source: Source, present: Sequence[Candidate]) -> Found:
        wanted = [path for group in self._open() for path in source.members(self._paths(group), group.at_most)]
        kept = self._cut(wanted, present, source.number)
        plain: dict[str, Any] = {}
        params = self._flags(kept)
        for candidate in kept:
            plain[candidate.name], drawn = candidate.draw(source.draw, self._path(candidate))
            params |= drawn
        return Found(plain, params, kept)

    def default(self) -> dict[str, Any]:
        return {candidate.name: candidate.default() for candidate in self.always}

    def complete(self, partial: Any) -> Any:
        known = {candidate.name: candidate for candidate in self.candidates}
        given = {key: {**(known[key].default() if key in known else {}), **value} for key, value in partial.items()}
        return {**self.default(), **given}

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Found:
        known = {candidate.name: candidate for candidate in self.candidates}
        problems += [
            f"{self.slot}.{key}: is not in this space; {nearest(key, known)}" for key in value if key not in known
        ]
        problems += [
            f"{self.slot}.{candidate.name}: must be there" for candidate in self.always if candidate.name not in value
        ]
        chosen = tuple(candidate for candidate in self.candidates if candidate.name in value)
        problems += self._illegal(chosen, present)
        params = self._flags(chosen)
        for candidate in chosen:
            path, plain = self._path(candidate), value[candidate.name]
            if plain.get("use", candidate.use) != candidate.use:
                problems.append(f"{path}: uses {plain['use']!r}, in this space {candidate.use!r}")
            else:
                params |= candidate.fit(plain, path, problems)
        return Found(value, params, chosen)

    def spans(self) -> dict[str, Range]:
        found: dict[str, Range] = {}
        for candidate in self.always:
            found |= candidate.spans(self._path(candidate))
        for group in self._open():
            for candidate in group.candidates:
                found[self._path(candidate)] = Choice(*FLAGS)
                found |= candidate.spans(self._path(candidate))
        return found

    def identity(self) -> Any:
        groups = [
            {"at_most": group.at_most, "from": {candidate.name: candidate.identity() for candidate in group.candidates}}
            for group in self.groups
        ]
        return {"always": {candidate.name: candidate.identity() for candidate in self.always}, "any_of": groups}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> Several:
        always = _keep(self.always, check, dropped)
        kept = [(group.at_most, _keep(group.candidates, check, dropped)) for group in self.groups]
        if not always:
            problems.append(f"{self.slot}.always: nothing is left; it needs at least one that fits this data")
        groups = tuple(
            Group(at_most=min(at_most, len(candidates)), candidates=candidates)
            for at_most, candidates in kept
            if candidates
        )
        return dataclasses.replace(self, always=always, groups=groups)

    def apart(self, against: Callable[[Candidate], Collection[str]]) -> Several:
        """Let each candidate exclude more components, by full name."""

        def narrowed(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
            return tuple(candidate.excluding(against(candidate)) for candidate in candidates)

        groups = tuple(dataclasses.replace(group, candidates=narrowed(group.candidates)) for group in self.groups)
        return dataclasses.replace(self, always=narrowed(self.always), groups=groups)

    def beside(self, value: Mapping[str, Any], present: Sequence[Candidate]) -> dict[str, Any]:
        """Add what the components of other slots require to a plain value, with defaults."""
        needed = {name for other in present for name in other.traits.requires}
        required = [candidate for candidate in self.possible if candidate.full_name in needed]
        return {**{candidate.name: candidate.default() for candidate in required}, **value}

    def _cut(self, wanted: Sequence[str], present: Sequence[Candidate], number: int) -> tuple[Candidate, ...]:
        """Return what may stand together of the wanted candidates, in the order of the file."""
        kept = list(self.always)
        needed = {name for other in present for name in other.traits.requires}
        for index, group in enumerate(self.groups):
            left = [c for c in group.candidates if self._path(c) in wanted or c.full_name in needed]
            room = len(kept) + group.at_most
            for candidate in sorted(
                left, key=lambda c: (c.full_name not in needed, _shuffle_key(number, index, c.name))
            ):
                if len(kept) < room and not any(clash(candidate, other) for other in (*present, *kept)):
                    kept.append(candidate)
        while unmet := [c for c in kept if c not in self.always and lacks(c, (*present, *kept))]:
            kept = [candidate for candidate in kept if candidate not in unmet]
        return tuple(candidate for candidate in self.candidates if candidate in kept)

    def _illegal(self, chosen: Sequence[Candidate], present: Sequence[Candidate]) -> list[str]:
        """Say what makes a set of components one that this space never draws."""
        found = []
        for group in self.groups:
            members = [candidate.name for candidate in chosen if candidate in group.candidates]
            if len(members) > group.at_most:
                found.append(f"{self.slot}: {len(members)} of {', '.join(members)}, at most {group.at_most}")
        others = (*present, *chosen)
        found += [f"{o.kind}.{o.name}: needs {name} beside it" for o in present for name in lacks(o, others)]
        for candidate in chosen:
            against = [o.full_name for o in others if o is not candidate and o.full_name in candidate.traits.excludes]
            found += [f"{self._path(candidate)}: must not stand beside {name}" for name in against]
            found += [f"{self._path(candidate)}: needs {name} beside it" for name in lacks(candidate, others)]
        against_chosen = [(o, c) for o in present for c in chosen if c.full_name in o.traits.excludes]
        return found + [f"{self._path(c)}: must not stand beside {other.full_name}" for other, c in against_chosen]

    def _flags(self, kept: Sequence[Candidate]) -> Params:
        return {self._path(c): FLAGS[c in kept] for group in self._open() for c in group.candidates}

    def _open(self) -> list[Group]:
        return [group for group in self.groups if group.at_most]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return (*self.always, *(candidate for group in self.groups for candidate in group.candidates))

    @property
    def possible(self) -> tuple[Candidate, ...]:
        return (*self.always, *(candidate for group in self._open() for candidate in group.candidates))

    @property
    def counts(self) -> list[str]:
        """What `count_members` asks for besides the paths."""
        return [count_path(self._paths(group)) for group in self._open()]

    def _paths(self, group: Group) -> list[str]:
        return [self._path(candidate) for candidate in group.candidates]

    def _path(self, candidate: Candidate) -> str:
        return f"{self.slot}.{candidate.name}"


def ask_members(draw: Draw) -> Callable[[Sequence[str], int], Sequence[str]]:
    """Ask for each candidate of a group apart, as a sampler models them."""
    return lambda paths, at_most: [path for path in paths if draw.choice(path, FLAGS) == "on"]


def count_members(unit: Callable[[str], float]) -> Callable[[Sequence[str], int], Sequence[str]]:
    """Draw how many first, uniformly from 0 to the bound, then which: small pipelines are as likely as big ones.

    Args:
      unit: gives a number in [0, 1) for each path, and for `count_path` of the group.
    """

    def members(paths: Sequence[str], at_most: int) -> Sequence[str]:
        count = int(unit(count_path(paths)) * (at_most + 1))
        return sorted(paths, key=unit)[:count]

    return members


def count_path(paths: Sequence[str]) -> str:
    """Name the number of candidates drawn from a group."""
    return f"number of {paths[0]}, …"


def _keep(candidates: Iterable[Candidate], check: Check, dropped: list[str]) -> tuple[Candidate, ...]:
    kept = []
    for candidate in candidates:
        if reason := check(candidate):
            dropped.append(f"{candidate.place}: {reason}")
        else:
            kept.append(candidate)
    return tuple(kept)


def _shuffle_key(number: int, group: int, name: str) -> str:
    """A key that sorts names in an order of its own for every trial and group, the same on every machine."""
    return hashlib.sha256(f"{number}/{group}/{name}".encode()).hexdigest()
