"""The students of a space as one set: counted, drawn inside the budget, changed, crossed; whatever their fields are."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autokd.components import is_blind
from autokd.errors import ComponentError
from autokd.networks.cost import Cost, student_cost, student_fits, student_params
from autokd.space.candidate import Candidate
from autokd.space.families import Plain, are_few, changed, count_of, drawn, every, fields_of, least_value
from autokd.space.space import Space
from autokd.space.values import edges
from autokd.spec import component_from_plain, fingerprint, network_slot
from autokd.types import Task

TRIES = 50
"""Draws of a family that may lie outside the budget before its students are reached by a walk."""
STEPS = 50
"""Of such a walk."""
LEAST_DRAWS = 10
"""Draws of a family by which the share of its students that lies inside is known."""
CHANGES = 20
"""Changes of a student, or children of two, that may lie outside the budget before another is drawn."""


@dataclass(frozen=True, kw_only=True)
class Architectures:
    """The students of a space inside limits that follow from the architecture.

    What a student costs is found out once. Students are equal where their plain forms are.

    Args:
      families: the candidates for the student; each has its own fields.
      task: the data.
      limits: largest values by the name of the cost; a limit of the latency is not looked at.
    """

    families: tuple[Candidate, ...]
    task: Task
    limits: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, space: Space, task: Task) -> Architectures:
        """Return those of a resolved space."""
        return cls(families=space.parts[network_slot(space.slots)].possible, task=task, limits=space.constraints)

    def count(self) -> int | None:
        """Return how many there are, whether or not they fit; None where a field is a real number: no end of them."""
        counts = [count_of(family) for family in self.families]
        return None if None in counts else sum(count or 0 for count in counts)

    def sample(self, rng: np.random.Generator) -> Plain:
        """Draw a student inside the budget: first its family, each being as likely, then one of its students.

        Within a family, every student inside the budget is as likely: draws outside are drawn again. Where hardly any
        lies inside (none of `TRIES` draws), a walk of `STEPS` steps from the smallest one, each to a student that
        differs in one field, comes near to that.

        Raises:
          LookupError: no student lies inside the budget.
        """
        within = self._within
        if not within:
            raise LookupError("no student lies inside the budget")
        family = within[int(rng.integers(len(within)))]
        known = self._all_of(family)
        if known is not None:
            return dict(known[int(rng.integers(len(known)))])
        for _ in range(TRIES):
            student = self._tried(family, rng)
            if student is not None:
                return student
        student = self._least[family.full_name]
        for _ in range(STEPS):
            other = changed(family, student, rng)
            student = other if self.fits(other) else student
        return student

    def mutate(self, student: Mapping[str, Any], rng: np.random.Generator) -> Plain | None:
        """Return the student with another value of one field, inside the budget.

        A numeric field goes one value up or down, or, as often, to any other; a choice to any other. None where no such
        student was found.
        """
        family = self._family(student)
        found = (changed(family, student, rng) for _ in range(CHANGES))
        return next((each for each in found if each != student and self.fits(each)), None)

    def crossover(self, first: Mapping[str, Any], second: Mapping[str, Any], rng: np.random.Generator) -> Plain | None:
        """Return a student with each field from one of two of the same family, inside the budget.

        None where they are of different families, or where no such student but themselves was found.
        """
        family = self._family(first)
        if family is not self._family(second):
            return None
        for _ in range(CHANGES):
            values = {name: (first, second)[int(rng.integers(2))][name] for name in family.ranges}
            child = family.plain(values)
            if child not in (first, second) and self.fits(child):
                return child
        return None

    def everything(self) -> list[Plain] | None:
        """Return all students inside the budget where no family has more than `FEW`; None where one has."""
        if not all(map(are_few, self.families)):
            return None
        return [dict(student) for family in self.families for student in self._all_of(family) or ()]

    def share_inside(self, rng: np.random.Generator) -> float:
        """Return which share of the students lies inside the budget, each family counting alike.

        Of a family of more than `FEW` students, the draws that were made so far are counted, and some more where these
        are few; a family that has students inside of which none was drawn counts as one in so many.
        """
        return float(np.mean([self._share(family, rng) for family in self.families]))

    def _share(self, family: Candidate, rng: np.random.Generator) -> float:
        known, count, draws = self._all_of(family), count_of(family), self._draws[family.full_name]
        if known is not None and count:
            return len(known) / count
        while len(draws) < LEAST_DRAWS:
            self._tried(family, rng)
        return max(sum(draws), int(family in self._within)) / len(draws)

    def _tried(self, family: Candidate, rng: np.random.Generator) -> Plain | None:
        """A random student of a family where it lies inside the budget, else None; what came of it is remembered."""
        student = drawn(family, rng)
        self._draws[family.full_name].append(self.fits(student))
        return student if self._draws[family.full_name][-1] else None

    def fits(self, student: Mapping[str, Any]) -> bool:
        """Whether a student can be built for this task, sees its input, and lies inside the budget."""
        key = fingerprint(dict(student))
        if key not in self._fitting:
            try:
                self._fitting[key] = student_fits(component_from_plain("students", student), self.task, self.limits)
            except (ComponentError, RuntimeError, ValueError):  # it cannot be built for this task
                self._fitting[key] = False
        return self._fitting[key]

    def cost(self, student: Mapping[str, Any]) -> Cost:
        """Return what a student costs."""
        return student_cost(component_from_plain("students", student), self.task)

    def params(self, student: Mapping[str, Any]) -> int:
        """Return the parameters of a student, in a fraction of the time of `cost`."""
        return student_params(component_from_plain("students", student), self.task)

    def smallest(self) -> list[Plain]:
        """Return the smallest possible student of each family: the one that exceeds the limits by the least.

        One field after the other is made as small as possible, beginning with all numbers at their least, until nothing
        is gained.
        """
        return list(self._least.values())

    @functools.cached_property
    def _least(self) -> dict[str, Plain]:
        found = {family.full_name: self._least_of(family) for family in self.families}
        return {name: student for name, student in found.items() if student is not None}

    @functools.cached_property
    def _within(self) -> tuple[Candidate, ...]:
        """The families that have students inside the budget."""
        named = [family for family in self.families if family.full_name in self._least]
        return tuple(family for family in named if self.fits(self._least[family.full_name]))

    @functools.cached_property
    def _fitting(self) -> dict[str, bool]:
        return {}

    @functools.cached_property
    def _enumerated(self) -> dict[str, list[Plain]]:
        return {}

    @functools.cached_property
    def _draws(self) -> dict[str, list[bool]]:
        """Whether each draw of a family lay inside the budget."""
        return {family.full_name: [] for family in self.families}

    def _all_of(self, family: Candidate) -> list[Plain] | None:
        """All students of a family inside the budget, or None where it has too many."""
        if not are_few(family):
            return None
        if family.full_name not in self._enumerated:
            self._enumerated[family.full_name] = [student for student in every(family) if self.fits(student)]
        return self._enumerated[family.full_name]

    def _least_of(self, family: Candidate) -> Plain | None:
        """A family's smallest student, or None where none of those that are looked at is of use."""
        best = self._smallest_among([family.plain({n: least_value(s) for n, s in family.ranges.items()})])
        best = best or self._smallest_among([family.default()])
        while best is not None:
            values = ((name, value) for name, span in family.ranges.items() for value in edges(span))
            others = [family.plain({**fields_of(family, best), name: value}) for name, value in values]
            least = self._smallest_among([best, *others])
            if least == best:
                break
            best = least
        return best

    def _smallest_among(self, students: Iterable[Plain]) -> Plain | None:
        """The one that exceeds the limits by the least; None where none is of use. The first one of equals."""
        built = [(size, each) for each in students if (size := self._size(each)) is not None]
        return min(built, key=lambda row: row[0])[1] if built else None

    def _size(self, student: Mapping[str, Any]) -> tuple[float, int] | None:
        """The largest cost of a student as a multiple of its limit, and its parameters; None: it is of no use."""
        try:
            component = component_from_plain("students", student)
            if is_blind(component):
                return None
            if self.limits.keys() & {"macs", "size"}:
                cost = student_cost(component, self.task)._asdict()
                return max(cost[name] / limit for name, limit in self.limits.items() if name in cost), cost["params"]
            count = student_params(component, self.task)
        except (ComponentError, RuntimeError, ValueError):
            return None
        return count / self.limits.get("params", math.inf), count

    def _family(self, student: Mapping[str, Any]) -> Candidate:
        """The candidate that a student is of.

        Raises:
          LookupError: it is of none.
        """
        for family in self.families:
            problems: list[str] = []
            if family.use == student["use"]:
                family.fit(student, family.full_name, problems)
                if not problems:
                    return family
        raise LookupError(f"{dict(student)} is no student of this space")
