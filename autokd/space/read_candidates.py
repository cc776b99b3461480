"""Reading the components of a space file: each with its ranges and fixed values, tried as far as they can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from autokd import catalog, spec
from autokd.errors import ComponentError, MissingDependency, nearest
from autokd.loss_keys import KEYS
from autokd.ranges import Range
from autokd.space.candidate import Candidate, traits_of
from autokd.space.read_values import MISSING, Problems, mapping, open_end, read_field
from autokd.space.values import edges, nearest_value
from autokd.space.windows import refused_keys


def read_candidates(place: str, slot: spec.Slot, body: Any, problems: Problems) -> tuple[Candidate, ...]:
    """Read the components that stand below a word such as `one_of`.

    Args:
      place: path of the word.
      slot: what it stands in; its name is the first of the path.
      body: names with their fields.
      problems: takes every mistake, with its path.
    """
    entries = mapping(body, place, problems)
    if not entries and (body is None or body == {}):
        problems.append(f"{place}: expected at least one of {', '.join(catalog.names(slot.kind))}, got none")
    candidates = [_candidate(f"{place}.{name}", slot, name, item, problems) for name, item in entries.items()]
    return tuple(candidate for candidate in candidates if candidate is not None)


def _candidate(place: str, slot: spec.Slot, name: str, body: Any, problems: Problems) -> Candidate | None:
    before, slot_name = len(problems), place.partition(".")[0]
    stated = mapping(body, place, problems)
    use = _use(place, slot, name, stated, problems)
    try:
        cls = catalog.load(slot.kind, use)
        traits = traits_of(slot_name, cls.declares)
    except (ComponentError, MissingDependency) as error:
        problems.append(f"{place}: {error}")
        return None
    infos = spec.fields_in(slot.kind, cls)
    ended = _ended(place, infos, stated, problems) if slot.network else {}
    stated |= ended
    values = _values(place, use, infos, stated, problems)
    if len(problems) > before:
        return None
    ranges = {field: value for field, value in values.items() if isinstance(value, Range)}
    candidate = Candidate(
        name=name,
        slot=slot_name,
        kind=slot.kind,
        use=use,
        place=place,
        ranges=ranges,
        fixed=spec.trimmed(slot.kind, {field: value for field, value in values.items() if field not in ranges}),
        defaults={field: nearest_value(span, infos[field].default) for field, span in ranges.items()},
        traits=traits,
        to_limit=frozenset(ended) & ranges.keys(),
    )
    candidate = _reading(candidate)
    refused = refused_keys(candidate)
    problems += [f"{place}: {refused}"] if refused else _unbuildable(candidate, set(stated))
    return candidate if len(problems) == before else None


def _reading(candidate: Candidate) -> Candidate:
    """The candidate, which reads the answers of whom the file names for it."""
    teacher = str(candidate.fixed.get("teacher", "")) if candidate.kind in KEYS else ""
    return dataclasses.replace(candidate, traits=candidate.traits._replace(reads_of=teacher)) if teacher else candidate


def _ended(
    place: str, infos: Mapping[str, spec.FieldInfo], stated: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """The ranges that are to end where the limits do, for now with the component's own ends."""
    known = {field: value for field, value in stated.items() if field in infos}
    ended = {field: open_end(f"{place}.{field}", known[field], infos[field], problems) for field in known}
    return {field: value for field, value in ended.items() if value is not None}


def _use(place: str, slot: spec.Slot, name: str, stated: dict[str, Any], problems: Problems) -> str:
    """The component that an entry is for; only where a slot holds several have the entries names of their own."""
    if not slot.many:
        return name
    if not name.isidentifier():
        problems.append(f"{place}: an instance name is made of letters, digits and underscores, got {name!r}")
    return str(stated.pop("use", name))


def _values(
    place: str, use: str, fields: Mapping[str, spec.FieldInfo], stated: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """The range, or the fixed value, of each field."""
    unknown = [key for key in stated if key not in fields]
    problems += [f"{place}.{key}: {use} has no such field; {nearest(key, fields)}" for key in unknown]
    return {
        field: read_field(f"{place}.{field}", stated.get(field, MISSING), info, problems)
        for field, info in fields.items()
    }


def _unbuildable(candidate: Candidate, stated: Collection[str]) -> Problems:
    """What the component itself refuses of the values and of the ends of the ranges that the file gives it."""
    base = {key: value for key, value in candidate.default().items() if key != "use"}
    if error := _refusal(candidate, base):
        return [f"{candidate.place}: {error}"]
    ends = [(field, end) for field, span in candidate.ranges.items() if field in stated for end in edges(span)]
    refusals = [(field, _refusal(candidate, {**base, field: end})) for field, end in ends]
    return [f"{candidate.place}.{field}: {error}" for field, error in refusals if error]


def _refusal(candidate: Candidate, values: Mapping[str, Any]) -> str | None:
    try:
        spec.make(candidate.kind, candidate.use, values)
    except ComponentError as error:
        return str(error)
    return None
