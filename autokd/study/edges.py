"""Values of a pipeline that lie on the end of what the space allowed: there may be better ones beyond."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

CLOSE = 0.02
"""Share of a range's length, on its own scale, within which a real number counts as its end."""
FEWEST = 3
"""Options of a choice of numbers from which on it has ends."""


class Edge(NamedTuple):
    """A value on the end of its range.

    Args:
      path: of the field: "student.mlp.width".
      value: of the pipeline.
      end: "lowest" or "highest".
    """

    path: str
    value: float
    end: str

    @property
    def sentence(self) -> str:
        """What to say of it.

        >>> Edge("student.mlp.width", 32, "highest").sentence
        'student.mlp.width 32 is the highest that the space allows'
        """
        return f"{self.path} {self.value:.4g} is the {self.end} that the space allows"


def edges_of(pipeline: Mapping[str, Any], space: Mapping[str, Any]) -> list[Edge]:
    """Return the values of a pipeline that lie on an end of their ranges.

    Left out is what could not be otherwise: an end that a limit of the study has made, and a lowest value of 0.

    Args:
      pipeline: plain.
      space: the resolved space as the study's identity has it.
    """
    found = (edge for path, value, span in _numbers(pipeline, space) if (edge := _edge(path, value, span)) is not None)
    return list(found)


def words(pipeline: Mapping[str, Any], space: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each of `edges_of`."""
    return [edge.sentence for edge in edges_of(pipeline, space)]


def _numbers(pipeline: Mapping[str, Any], space: Mapping[str, Any]) -> Iterator[tuple[str, float, Mapping[str, Any]]]:
    """Path, value and written range of every number of a pipeline that was drawn from one."""
    for slot, value in pipeline.items():
        part = space.get(slot)
        if not isinstance(part, Mapping):
            continue
        if isinstance(value, (int, float)):
            yield slot, value, part
        elif isinstance(value, Mapping) and "one_of" in part:
            named = {name: c for name, c in part["one_of"].items() if c["use"] == value["use"]}
            for name, candidate in named.items():
                yield from _fields(f"{slot}.{name}", value, candidate)
        elif isinstance(value, Mapping):
            groups = (group["from"] for group in part.get("any_of", ()))
            candidates = {name: c for group in (part.get("always", {}), *groups) for name, c in group.items()}
            for name in (name for name in value if name in candidates):
                yield from _fields(f"{slot}.{name}", value[name], candidates[name])


def _fields(
    path: str, component: Mapping[str, Any], candidate: Mapping[str, Any]
) -> Iterator[tuple[str, float, Mapping[str, Any]]]:
    for field, value in component.items():
        span = candidate.get(field)
        if isinstance(span, Mapping) and isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{path}.{field}", value, span


def _edge(path: str, value: float, span: Mapping[str, Any]) -> Edge | None:
    low, high, share = _ends(span)
    if low >= high:
        return None
    position = _share(value, low, high, log=bool(span.get("log")))
    if position <= share and low != 0:
        return Edge(path, value, "lowest")
    if position >= 1 - share and not span.get("limit"):
        return Edge(path, value, "highest")
    return None


def _ends(span: Mapping[str, Any]) -> tuple[float, float, float]:
    """Both ends of a written range and how near to one counts; equal ends where it has none to speak of."""
    if "choice" in span:
        options = [o for o in span["choice"] if isinstance(o, (int, float)) and not isinstance(o, bool)]
        return (min(options), max(options), 0.0) if len(options) >= FEWEST else (0.0, 0.0, 0.0)
    word = "float" if "float" in span else "int"
    return span[word][0], span[word][1], CLOSE if word == "float" else 0.0


def _share(value: float, low: float, high: float, *, log: bool) -> float:
    """Where a value lies between the ends: 0 at the lower one, 1 at the upper one."""
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
