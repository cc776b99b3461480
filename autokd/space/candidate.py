"""A component that may be drawn: its ranges, its fixed values, and what its class declares of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from autokd import spec
from autokd.declarations import Declaration
from autokd.errors import ComponentError, nearest
from autokd.ranges import Range, Scalar
from autokd.space.values import Draw, suggest, written
from autokd.types import ANY

Params = dict[str, Scalar]


class Traits(NamedTuple):
    """What a space knows of a component: what its class declares; see `autokd.declarations` for the fields.

    Args:
      reads_of: name of the model whose answers it reads, or on whose offers it is built; "" for none.
      reads: what that model must offer.
      student_reads: what the student must offer.
      offers: what a student offers.
      excludes, requires: full names ("losses.dkd") of what it must not, or must, stand beside.
      changes: whether networks see other samples than those of the dataset.
      members: it reads each member of an ensemble of teachers.
      replaces: full names of what it stands in the place of.
      reads_labels: it is about labelled samples only.
      copies: field of a student that holds the name of the teacher's network, of which it is made; "" for none.
      file: field of a start of the weights that holds the path of its file; "" for none.
    """

    modalities: AbstractSet[str] = ANY
    reads_of: str = ""
    reads: AbstractSet[str] = frozenset()
    student_reads: AbstractSet[str] = frozenset()
    offers: AbstractSet[str] = frozenset()
    min_classes: int = 2
    excludes: AbstractSet[str] = frozenset()
    requires: AbstractSet[str] = frozenset()
    prepared_from: tuple[str, ...] | None = None
    changes: bool = False
    members: bool = False
    replaces: AbstractSet[str] = frozenset()
    reads_labels: bool = False
    copies: str = ""
    file: str = ""


def traits_of(slot: str, declares: Declaration) -> Traits:
    """Return what a component declares, for one that may stand in a slot; what its kind has not is as in `Traits`.

    Raises:
      ComponentError: it names another component by a slot that pipelines do not have.
    """
    declared = {field.name: getattr(declares, field.name) for field in dataclasses.fields(declares)}
    declared |= {"reads_of": declares.reads_of, "changes": declares.changes}
    traits = Traits(**{name: declared[name] for name in Traits._fields if name in declared})
    excludes, requires, replaces = (_full(slot, each) for each in (traits.excludes, traits.requires, traits.replaces))
    return traits._replace(excludes=excludes, requires=requires, replaces=replaces)


def _full(slot: str, names: Iterable[str]) -> frozenset[str]:
    full, slots = set(), spec.slots()
    for name in sorted(names):
        other, _, use = name.rpartition(".")
        if other and other not in slots:
            raise ComponentError(f"it declares {name!r}, and a pipeline has no slot {other!r}; {nearest(other, slots)}")
        full.add(f"{other or slot}.{use}")
    return frozenset(full)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A component that may be drawn.

    Args:
      name: its key in the file.
      slot: of the pipeline.
      kind, use: kind and name of the component.
      place: where it stands in the file.
      ranges: its fields that are drawn.
      fixed: its other fields, as plain data.
      defaults: a value inside the range of each drawn field.
      to_limit: fields whose range ends where a study's limits do; see `autokd.space.sizes`.
      limited: those of them whose range a limit has made end earlier.
    """

    name: str
    slot: str
    kind: str
    use: str
    place: str
    ranges: Mapping[str, Range]
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Scalar]
    traits: Traits
    to_limit: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()

    @property
    def full_name(self) -> str:
        """The slot and the component in it, as others name it in what they exclude or require."""
        return f"{self.slot}.{self.use}"

    def default(self) -> dict[str, Any]:
        """Return the plain component with the values of the file and, in its ranges, its defaults."""
        return self.plain(self.defaults)

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plain component with the values of the file and these, without keys at their defaults."""
        return spec.trimmed(self.kind, {"use": self.use, **self.fixed, **values})

    def made_of(self, network: str, offers: AbstractSet[str]) -> Candidate:
        """Return the candidate of a student that is made of the teacher's network.

        Args:
          network: its name; one that the file names stays.
          offers: parts of its output.
        """
        fixed = {**self.fixed, self.traits.copies: self.fixed.get(self.traits.copies) or network}
        return dataclasses.replace(self, fixed=fixed, traits=self.traits._replace(offers=frozenset(offers)))

    def excluding(self, names: Iterable[str]) -> Candidate:
        """Return the candidate that must not stand beside these components (full names) either."""
        return dataclasses.replace(self, traits=self.traits._replace(excludes=self.traits.excludes | {*names}))

    def draw(self, draw: Draw, path: str) -> tuple[dict[str, Any], Params]:
        """Return a plain component with drawn values, and the parameters that stand for it, below `path`."""
        values = {field: suggest(draw, f"{path}.{field}", span) for field, span in self.ranges.items()}
        params = {f"{path}.{field}": value for field, value in values.items()}
        return self.plain(values), params

    def fit(self, plain: Mapping[str, Any], path: str, problems: list[str]) -> Params:
        """Return the parameters that draw `plain`; where there are none, say why in `problems`."""
        values = spec.key_defaults(self.kind) | {key: value for key, value in plain.items() if key != "use"}
        reasons = {field: self._misfit(field, value) for field, value in values.items()}
        reasons |= {field: "missing" for field in (*self.ranges, *self.fixed) if field not in values}
        problems += [f"{path}.{field}: {reason}" for field, reason in reasons.items() if reason]
        return {f"{path}.{field}": values[field] for field in self.ranges if field in values}

    def _misfit(self, field: str, value: Any) -> str | None:
        if field in self.ranges:
            return None if self.ranges[field].contains(value) else f"{value!r} lies outside {self.ranges[field]}"
        fixed = {**spec.key_defaults(self.kind), **self.fixed}
        if field in fixed:
            known = fixed[field]
            return None if value == known else f"{value!r}, but this space fixes it at {known!r}"
        return f"there is no such field; {nearest(field, [*self.ranges, *fixed])}"

    def spans(self, path: str) -> dict[str, Range]:
        """Return the ranges of what is drawn, by path."""
        return {f"{path}.{field}": span for field, span in self.ranges.items()}

    def identity(self) -> dict[str, Any]:
        """Return the component with its fixed values and its ranges, as plain data; "limit" where one made the end."""
        ranges = {field: written(span) for field, span in self.ranges.items()}
        limited = {field: {**ranges[field], "limit": True} for field in self.ranges if field in self.limited}
        return {"use": self.use, **self.fixed, **ranges, **limited}


def clash(one: Candidate, other: Candidate) -> bool:
    """Whether two components must not stand in one pipeline."""
    return other.full_name in one.traits.excludes or one.full_name in other.traits.excludes


def lacks(candidate: Candidate, present: Iterable[Candidate]) -> list[str]:
    """Return the names of the components that `candidate` requires and that are not present."""
    return sorted(candidate.traits.requires - {other.full_name for other in present})
