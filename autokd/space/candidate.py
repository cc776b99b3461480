"""A component that may be drawn: its ranges, its fixed values, and what its class declares of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from autokd.errors import nearest
from autokd.ranges import Range, Scalar
from autokd.space.values import Draw, suggest, written
from autokd.types import ANY

Params = dict[str, Scalar]


class Traits(NamedTuple):
    """What a component class declares of itself.

    Args:
      modalities: kinds of input it takes.
      teacher: "none" where it needs no teacher.
      needs: what the teacher must offer: "features", "pooled", "tokens", "attention".
      student_needs: what the student must offer.
      offers: what a student offers.
      min_classes: fewest classes it is defined for.
      excludes, requires: components ("losses.dkd"; a bare name is of its own kind) it must not, or must, stand beside.
      prepared_from: the fields that what it prepares from teacher and data depends on; () where it prepares nothing.
    """

    modalities: frozenset[str] = ANY
    teacher: str = "none"
    needs: frozenset[str] = frozenset()
    student_needs: frozenset[str] = frozenset()
    offers: frozenset[str] = frozenset({"features", "pooled"})
    min_classes: int = 2
    excludes: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    prepared_from: tuple[str, ...] = ()


def traits_of(kind: str, cls: type[Any]) -> Traits:
    """Read a component class's declarations; what it does not declare has the value that `Traits` gives it."""

    def declared(name: str) -> Any:
        return getattr(cls, name, Traits._field_defaults[name])

    def full(names: Iterable[str]) -> frozenset[str]:
        return frozenset(name if "." in name else f"{kind}.{name}" for name in names)

    return Traits(
        modalities=frozenset(declared("modalities")),
        teacher=declared("teacher"),
        needs=frozenset(declared("needs")),
        student_needs=frozenset(declared("student_needs")),
        offers=frozenset(declared("offers")),
        min_classes=declared("min_classes"),
        excludes=full(declared("excludes")),
        requires=full(declared("requires")),
        prepared_from=tuple(declared("prepared_from")),
    )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A component that may be drawn.

    Args:
      name: its key in the file.
      kind, use: kind and name of the component.
      place: where it stands in the file.
      ranges: its fields that are drawn.
      fixed: its other fields, as plain data.
      defaults: a value inside the range of each drawn field.
    """

    name: str
    kind: str
    use: str
    place: str
    ranges: Mapping[str, Range]
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Scalar]
    traits: Traits

    @property
    def full_name(self) -> str:
        return f"{self.kind}.{self.use}"

    def default(self) -> dict[str, Any]:
        return {"use": self.use, **self.fixed, **self.defaults}

    def excluding(self, names: Iterable[str]) -> Candidate:
        """Return the candidate that must not stand beside these components (full names) either."""
        return dataclasses.replace(self, traits=self.traits._replace(excludes=self.traits.excludes.union(names)))

    def draw(self, draw: Draw, path: str) -> tuple[dict[str, Any], Params]:
        values = {field: suggest(draw, f"{path}.{field}", span) for field, span in self.ranges.items()}
        params = {f"{path}.{field}": value for field, value in values.items()}
        return {"use": self.use, **self.fixed, **values}, params

    def fit(self, plain: Mapping[str, Any], path: str, problems: list[str]) -> Params:
        """Return the parameters that draw `plain`; where there are none, say why in `problems`."""
        given = {key: value for key, value in plain.items() if key != "use"}
        for field, value in given.items():
            if field in self.ranges and not self.ranges[field].contains(value):
                problems.append(f"{path}.{field}: {value!r} lies outside {self.ranges[field]}")
            elif field in self.fixed and value != self.fixed[field]:
                problems.append(f"{path}.{field}: {value!r}, but this space fixes it at {self.fixed[field]!r}")
        fields = [*self.ranges, *self.fixed]
        problems += [f"{path}.{key}: there is no such field; {nearest(key, fields)}" for key in given.keys() - fields]
        problems += [f"{path}.{key}: missing" for key in fields if key not in given]
        return {f"{path}.{field}": given[field] for field in self.ranges if field in given}

    def spans(self, path: str) -> dict[str, Range]:
        return {f"{path}.{field}": span for field, span in self.ranges.items()}

    def identity(self) -> dict[str, Any]:
        ranges = {field: written(span) for field, span in self.ranges.items()}
        return {"use": self.use, **self.fixed, **ranges}


def clash(one: Candidate, other: Candidate) -> bool:
    """Whether two components must not stand in one pipeline."""
    return other.full_name in one.traits.excludes or one.full_name in other.traits.excludes


def lacks(candidate: Candidate, present: Iterable[Candidate]) -> list[str]:
    """Return the names of the components that `candidate` requires and that are not present."""
    return sorted(candidate.traits.requires - {other.full_name for other in present})
