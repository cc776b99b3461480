"""Reading the parts of a space file: what may be drawn for each slot of a pipeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from autokd import catalog, spec
from autokd.loss_keys import KEYS
from autokd.ranges import Range
from autokd.space.any_of import AnyOf, Group
from autokd.space.candidate import Candidate, clash, lacks
from autokd.space.number import Fixed, Ranged
from autokd.space.one_of import OneOf
from autokd.space.parts import Part
from autokd.space.read_candidates import read_candidates
from autokd.space.read_values import BAD, MISSING, Problems, known_entries, read_count, read_field
from autokd.space.values import edges, nearest_value
from autokd.space.windows import uncovered

AT_MOST = 2
"""Bound of an `any_of` group that names none."""


def read_part(name: str, slot: spec.Slot | spec.Number, body: Any, problems: Problems) -> Part | None:
    """Read what may be drawn for a slot.

    Args:
      name: of the slot.
      slot: what it holds.
      body: what the file says of it; `MISSING` where it does not name it.
      problems: takes every mistake, with its path.
    Returns:
      The part; None where there are mistakes, and where an optional slot is left out.
    """
    if body is MISSING and slot.optional:
        return None
    if isinstance(slot, spec.Number):
        return _number(name, slot, body, problems)
    if body is MISSING and slot.default:
        body = {"always": {slot.default: {}}}
    if body is MISSING:
        example = f"{name}: {{{'always' if slot.many else 'one_of'}: {{{catalog.names(slot.kind)[0]}: {{}}}}}}"
        problems.append(f"{name}: missing; for example {example}")
        return None
    return _any_of(name, slot, body, problems) if slot.many else _one_of(name, slot, body, problems)


def answer_problems(parts: Mapping[str, Part], table: spec.Slots, stated: Collection[str]) -> Problems:
    """Say which losses read the answers of somebody whom the space has no place for; `stated` are its sections."""
    beside, problems = spec.beside_slots(table), []
    for candidate in (c for part in parts.values() for c in part.candidates if c.kind in KEYS):
        declares, name = catalog.load(candidate.kind, candidate.use).declares, candidate.traits.reads_of
        teacher = str(candidate.fixed.get("teacher", ""))
        why = spec.refused_teacher(declares, teacher, [spec.TEACHER, *beside])
        if "teacher" in candidate.ranges:
            why = "expected one name; for another one, give the loss a second entry (kd_peer: {use: kd, teacher: peer})"
        if why is not None:
            problems.append(f"{candidate.place}.teacher: {why}")
        elif name in beside and name not in stated:
            why = f"it reads the answers of a {name}, and this space has none; add one"
            problems.append(f"{candidate.place}: {why} ({name}: {{one_of: {{{_any_of_kind(table[name])}: {{}}}}}})")
    return problems


def _any_of_kind(slot: spec.Slot | spec.Number) -> str:
    return catalog.names(slot.kind)[0] if isinstance(slot, spec.Slot) else ""


def _number(name: str, slot: spec.Number, body: Any, problems: Problems) -> Fixed | Ranged | None:
    """A plain hyper-parameter of a pipeline; left out, it has the slot's own range."""
    declared = slot.type | None if slot.optional else slot.type
    value = read_field(name, body, spec.FieldInfo(declared, slot.default, slot.range, ""), problems)
    if value is BAD or value is None:
        return None
    ends = edges(value) if isinstance(value, Range) else (value,)
    numbers = [end for end in ends if isinstance(end, (int, float))]
    if min(numbers) < slot.least:
        problems.append(f"{name}: expected at least {slot.least:g}, got {min(numbers)}")
    if max(numbers) > slot.most:
        problems.append(f"{name}: expected at most {slot.most:g}, got {max(numbers)}")
    if isinstance(value, Range):
        return Ranged(slot=name, span=value, default=nearest_value(value, slot.default))
    return Fixed(slot=name, value=value)


def _one_of(name: str, slot: spec.Slot, body: Any, problems: Problems) -> OneOf | None:
    before = len(problems)
    words = known_entries(body, name, ("always", "one_of"), problems)
    if len(words) != 1:
        if len(problems) == before:
            problems.append(f"{name}: expected either 'one_of' or 'always', got {' and '.join(words) or 'neither'}")
        return None
    word, options = next(iter(words.items()))
    candidates = read_candidates(f"{name}.{word}", slot, options, problems)
    if word == "always" and len(candidates) > 1:
        problems.append(f"{name}.always: takes one component, got {len(candidates)}; use one_of to choose")
    return OneOf(slot=name, candidates=candidates) if candidates else None


def _any_of(name: str, slot: spec.Slot, body: Any, problems: Problems) -> AnyOf:
    before = len(problems)
    words = known_entries(body, name, ("always", "any_of"), problems)
    if "always" not in words:
        problems.append(f"{name}.always: missing; there must be at least one that always stands in the pipeline")
    always = read_candidates(f"{name}.always", slot, words["always"], problems) if "always" in words else ()
    any_of = words.get("any_of", [])
    bodies = {f"{name}.any_of": any_of}
    if isinstance(any_of, list):
        bodies = {f"{name}.any_of.{index}": item for index, item in enumerate(any_of)}
    groups = tuple(_group(place, slot, item, problems) for place, item in bodies.items())
    part = AnyOf(slot=name, always=always, groups=groups)
    problems += [*_repeated_names(part.candidates), *_conflicts(always)]
    if len(problems) == before and (found := uncovered(always)):
        problems.append(f"{name}.always: {found}")
    return part


def _group(place: str, slot: spec.Slot, body: Any, problems: Problems) -> Group:
    words = known_entries(body, place, ("at_most", "from"), problems)
    at_most = read_count(f"{place}.at_most", words.get("at_most", AT_MOST), 0, problems)
    candidates = read_candidates(f"{place}.from", slot, words.get("from"), problems)
    return Group(at_most=min(at_most, len(candidates)), candidates=candidates)


def _repeated_names(candidates: Iterable[Candidate]) -> Problems:
    """Names that stand twice."""
    places: dict[str, str] = {}
    problems = []
    for candidate in candidates:
        if candidate.name in places:
            problems.append(f"{candidate.place}: this name already stands at {places[candidate.name]}")
        places.setdefault(candidate.name, candidate.place)
    return problems


def _conflicts(always: tuple[Candidate, ...]) -> Problems:
    """Components that are always there and must not be, or that lack one beside them."""
    problems = []
    for index, candidate in enumerate(always):
        against = [other.use for other in always[:index] if clash(candidate, other)]
        problems += [f"{candidate.place}: must not stand beside {use}, which is always there" for use in against]
        needed = [name for name in lacks(candidate, always) if name.startswith(f"{candidate.slot}.")]
        problems += [f"{candidate.place}: needs {name} always beside it" for name in needed]
    return problems
