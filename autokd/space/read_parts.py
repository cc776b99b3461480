"""Reading the parts of a space file: which components may be drawn for each slot, with which values."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from autokd import catalog, spec
from autokd.errors import ComponentError, nearest
from autokd.ranges import Range
from autokd.space.candidate import Candidate, clash, lacks, traits_of
from autokd.space.parts import Group, Number, OneOf, Part, Several
from autokd.space.read_values import BAD, MISSING, Problems, known_entries, mapping, read_count, read_field
from autokd.space.values import edges, nearest_value

AT_MOST = 2
"""Bound of an `any_of` group that names none."""


def read_part(name: str, slot: spec.Slot | Range, body: Any, problems: Problems) -> Part | None:
    if not isinstance(slot, spec.Slot):
        return _number(name, slot, body, problems)
    if body is MISSING and slot.default:
        body = {"always": {slot.default: {}}}
    if body is MISSING:
        example = f"{name}: {{{'always' if slot.many else 'one_of'}: {{{catalog.names(slot.kind)[0]}: {{}}}}}}"
        problems.append(f"{name}: missing; for example {example}")
        return None
    return _several(name, slot, body, problems) if slot.many else _one_of(name, slot, body, problems)


def _number(name: str, own: Range, body: Any, problems: Problems) -> Number | None:
    """A plain hyper-parameter of a pipeline; left out, it has the pipeline's own range."""
    default = next(field.default for field in dataclasses.fields(spec.PipelineSpec) if field.name == name)
    value = read_field(name, body, spec.FieldInfo(int, default, own, ""), problems)
    if value is BAD:
        return None
    span = value if isinstance(value, Range) else None
    lowest = min(int(end) for end in edges(span)) if span else int(value)
    if lowest < 1:
        problems.append(f"{name}: expected at least 1, got {lowest}")
    return Number(slot=name, span=span, value=int(nearest_value(span, default) if span else value))


def _one_of(name: str, slot: spec.Slot, body: Any, problems: Problems) -> OneOf | None:
    before = len(problems)
    words = known_entries(body, name, ("always", "one_of"), problems)
    if len(words) != 1:
        if len(problems) == before:
            problems.append(f"{name}: expected either 'one_of' or 'always', got {' and '.join(words) or 'neither'}")
        return None
    word, options = next(iter(words.items()))
    candidates = _candidates(f"{name}.{word}", name, slot, options, problems)
    if word == "always" and len(candidates) > 1:
        problems.append(f"{name}.always: takes one component, got {len(candidates)}; use one_of to choose")
    return OneOf(slot=name, candidates=candidates) if candidates else None


def _several(name: str, slot: spec.Slot, body: Any, problems: Problems) -> Several | None:
    words = known_entries(body, name, ("always", "any_of"), problems)
    if "always" not in words:
        problems.append(f"{name}.always: missing; there must be at least one that always stands in the pipeline")
    always = _candidates(f"{name}.always", name, slot, words["always"], problems) if "always" in words else ()
    any_of = words.get("any_of", [])
    bodies = {f"{name}.any_of": any_of}
    if isinstance(any_of, list):
        bodies = {f"{name}.any_of.{index}": item for index, item in enumerate(any_of)}
    groups = tuple(_group(place, name, slot, item, problems) for place, item in bodies.items())
    problems += _conflicts(always, groups)
    return Several(slot=name, always=always, groups=groups)


def _group(place: str, name: str, slot: spec.Slot, body: Any, problems: Problems) -> Group:
    words = known_entries(body, place, ("at_most", "from"), problems)
    at_most = read_count(f"{place}.at_most", words.get("at_most", AT_MOST), 0, problems)
    candidates = _candidates(f"{place}.from", name, slot, words.get("from"), problems)
    return Group(at_most=min(at_most, len(candidates)), candidates=candidates)


def _conflicts(always: tuple[Candidate, ...], groups: tuple[Group, ...]) -> Problems:
    """Names that stand twice, and components that are always there and must not be."""
    seen: dict[str, str] = {}
    found = []
    for candidate in (*always, *(candidate for group in groups for candidate in group.candidates)):
        if candidate.name in seen:
            found.append(f"{candidate.place}: this name already stands at {seen[candidate.name]}")
        seen.setdefault(candidate.name, candidate.place)
    for index, candidate in enumerate(always):
        against = [other.use for other in always[:index] if clash(candidate, other)]
        found += [f"{candidate.place}: must not stand beside {use}, which is always there" for use in against]
        needed = [name for name in lacks(candidate, always) if name.startswith(f"{candidate.slot}.")]
        found += [f"{candidate.place}: needs {name} always beside it" for name in needed]
    return found


def _candidates(place: str, slot_name: str, slot: spec.Slot, body: Any, problems: Problems) -> tuple[Candidate, ...]:
    entries = mapping(body, place, problems)
    if not entries and (body is None or body == {}):
        names = catalog.names(slot.kind)
        problems.append(f"{place}: expected at least one of {', '.join(names)}, got none")
    found = [_candidate(f"{place}.{name}", slot_name, slot, name, item, problems) for name, item in entries.items()]
    return tuple(candidate for candidate in found if candidate is not None)


def _candidate(
    place: str, slot_name: str, slot: spec.Slot, name: str, body: Any, problems: Problems
) -> Candidate | None:
    before = len(problems)
    given = mapping(body, place, problems)
    # Only in a slot that holds several components do the instances have names of their own.
    use = given.pop("use", name) if slot.many else name
    if slot.many and not name.isidentifier():
        problems.append(f"{place}: an instance name is made of letters, digits and underscores, got {name!r}")
    try:
        cls = catalog.load(slot.kind, str(use))
        traits = traits_of(slot_name, cls.declares)
    except ComponentError as error:
        problems.append(f"{place}: {error}")
        return None
    infos = spec.fields_of(cls)
    problems += [f"{place}.{key}: {use} has no such field; {nearest(key, infos)}" for key in given if key not in infos]
    values = {
        field: read_field(f"{place}.{field}", given.get(field, MISSING), info, problems)
        for field, info in infos.items()
    }
    if len(problems) > before:
        return None
    ranges = {field: value for field, value in values.items() if isinstance(value, Range)}
    candidate = Candidate(
        name=name,
        slot=slot_name,
        kind=slot.kind,
        use=str(use),
        place=place,
        ranges=ranges,
        fixed={field: value for field, value in values.items() if field not in ranges},
        defaults={field: nearest_value(span, infos[field].default) for field, span in ranges.items()},
        traits=traits,
    )
    problems += _unbuildable(candidate, set(given))
    return candidate if len(problems) == before else None


def _unbuildable(candidate: Candidate, given: Collection[str]) -> Problems:
    """What the component itself refuses of the values and of the ends of the ranges that the file gives it."""
    base = {key: value for key, value in candidate.default().items() if key != "use"}
    if error := _refusal(candidate, base):
        return [f"{candidate.place}: {error}"]
    ends = [(field, end) for field, span in candidate.ranges.items() if field in given for end in edges(span)]
    refusals = [(field, _refusal(candidate, {**base, field: end})) for field, end in ends]
    return [f"{candidate.place}.{field}: {error}" for field, error in refusals if error]


def _refusal(candidate: Candidate, values: Mapping[str, Any]) -> str | None:
    try:
        spec.make(candidate.kind, candidate.use, values)
    except ComponentError as error:
        return str(error)
    return None
