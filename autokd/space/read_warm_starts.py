"""Reading the warm starts of a space file: partial pipelines, each inside the space."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from autokd import catalog, spec
from autokd.errors import nearest
from autokd.space.parts import Part
from autokd.space.read_values import Problems, known_entries, mapping
from autokd.space.space import Space


def read_warm_starts(
    body: Any, space: Space, flawed: Collection[str], problems: Problems
) -> tuple[dict[str, Any], ...]:
    """Read the warm starts, and check them against those parts of the space that have no mistakes.

    Args:
      body: a list of partial pipelines, or None.
      space: what they must lie in.
      flawed: the slots whose parts have mistakes.
      problems: takes every mistake, with its path.
    """
    if body is not None and not isinstance(body, list):
        problems.append(f"warm_starts: expected a list of pipelines, got {body!r}")
        return ()
    return tuple(
        _warm_start(f"warm_starts.{index}", item, space, flawed, problems) for index, item in enumerate(body or [])
    )


def _warm_start(place: str, body: Any, space: Space, flawed: Collection[str], problems: Problems) -> dict[str, Any]:
    before = len(problems)
    stated = known_entries(body, place, space.slots, problems)
    partial = {name: _with_uses(f"{place}.{name}", name, value, space, problems) for name, value in stated.items()}
    problems += [f"{place}.{line}" for line in spec.problems(partial, space.slots, partial=True)]
    if len(problems) > before:
        return partial
    partial = spec.converted(partial, space.slots)
    inside = {name: value for name, value in partial.items() if name not in flawed}
    problems += [f"{place}.{misfit}" for misfit in space.misfits(space.complete(inside))]
    return partial


def _with_uses(path: str, name: str, value: Any, space: Space, problems: Problems) -> Any:
    """What a warm start says of a slot, each component with its `use`."""
    slot = space.slots[name]
    if isinstance(slot, spec.Number) or (value is None and slot.optional):
        return value
    if not slot.many:
        return {} if value is None else value
    return _with_names(path, mapping(value, path, problems), slot.kind, space.parts.get(name), problems)


def _with_names(path: str, entries: dict[str, Any], kind: str, part: Part | None, problems: Problems) -> dict[str, Any]:
    """Components by instance name, each with the component that its name stands for in the space or the catalog."""
    inside = {candidate.name: candidate.use for candidate in part.candidates} if part else {}
    uses = {use: use for use in catalog.names(kind)} | inside
    components: dict[str, Any] = {}
    for key, item in entries.items():
        component = _with_use({} if item is None else item, uses.get(key))
        if component != {}:
            components[key] = component
        elif part:  # a part with mistakes does not say which names there are
            problems.append(f"{path}.{key}: is not in this space; {nearest(key, inside)}")
    return components


def _with_use(component: Any, use: str | None) -> Any:
    """A component as the file has it, with `use` filled in; {} where nothing says which it is."""
    if not isinstance(component, dict) or "use" in component:
        return component
    return {"use": use, **component} if use else {}
