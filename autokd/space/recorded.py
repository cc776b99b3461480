"""The ranges of a space as a study recorded it: no file is read, and no data, teacher or plug-in is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autokd.ranges import Choice, Integer, Range, Real
from autokd.space.source import FLAGS

ONE, FROM_WEIGHTS, SOME, ALWAYS = "one_of", "from_weights", "any_of", "always"


def recorded_ranges(identity: Mapping[str, Any]) -> dict[str, Range]:
    """Return the range of every parameter that can occur, by path, as `Space.ranges` does.

    Args:
      identity: what `Space.identity` returned.

    >>> recorded_ranges({"batch_size": {"choice": [32, 64]}, "augment": {"one_of": {"none": {"use": "none"}}}})
    {'batch_size': Choice(options=(32, 64), unit='')}
    """
    return {path: span for slot, part in identity.items() for path, span in _spans(slot, part)}


def _spans(slot: str, part: Any) -> Iterator[tuple[str, Range]]:
    """The parameters of what may be drawn for a slot."""
    if not isinstance(part, Mapping):
        return
    whole = _range(part)
    if whole is not None:
        yield slot, whole
    yield from _one_of(slot, part.get(ONE, {}))
    yield from _one_of(f"{slot}.{FROM_WEIGHTS}", part.get(FROM_WEIGHTS, {}))
    yield from _fields(slot, part.get(ALWAYS, {}))
    for group in part.get(SOME, ()):
        for name, candidate in group["from"].items() if group["at_most"] else ():
            yield f"{slot}.{name}", Choice(*FLAGS)
            yield from _fields(slot, {name: candidate})


def _one_of(path: str, candidates: Mapping[str, Any]) -> Iterator[tuple[str, Range]]:
    if len(candidates) > 1:
        yield path, Choice(*candidates)
    yield from _fields(path, candidates)


def _fields(path: str, candidates: Mapping[str, Any]) -> Iterator[tuple[str, Range]]:
    """The fields of components that are drawn."""
    for name, candidate in candidates.items():
        for field, value in candidate.items():
            span = _range(value)
            if span is not None:
                yield f"{path}.{name}.{field}", span


def _range(value: Any) -> Range | None:
    """A range as `autokd.space.values.written` writes it, or None."""
    if not isinstance(value, Mapping):
        return None
    if "choice" in value:
        return Choice(*value["choice"])
    if "float" in value:
        low, high = value["float"]
        return Real(low, high, log=value["log"])
    if "int" in value:
        low, high = value["int"]
        return Integer(low, high, step=value["step"], log=value["log"])
    return None
