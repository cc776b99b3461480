"""A search space as a value: resolving it for a task, drawing pipelines from it, recognising pipelines in it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from autokd import spec
from autokd.errors import SpaceError
from autokd.ranges import Range
from autokd.space.budget import Budget
from autokd.space.buildable import refusal
from autokd.space.candidate import Candidate, Params, clash, lacks
from autokd.space.parts import OneOf, Part, Several, Source, ask_members, count_members
from autokd.space.values import Draw, UnitDraw
from autokd.types import Shapes, Task

PATIENCE = 200
"""Random students in a row that bring nothing new before `Space.students` takes the space for exhausted."""


class Drawn(NamedTuple):
    """A pipeline of a space.

    Args:
      plain: for `autokd.spec.from_plain`, every value written out.
      params: the parameters that stand for it, by path: what is executed, not what was suggested; None for a pipeline
        from elsewhere that lies outside the space.
    """

    plain: dict[str, Any]
    params: Params | None


class Screen(NamedTuple):
    """How students are screened without training.

    Args:
      proxies: names of the proxies whose ranks are combined.
      enqueue: how many of the best students are tried early.
    """

    proxies: tuple[str, ...] = ("macs", "params", "nwot")
    enqueue: int = 4


@dataclass(frozen=True, kw_only=True)
class Space:
    """All pipelines that a study may try, and how much it may spend.

    Args:
      source: name or path it was read from, for messages.
      text: the file, verbatim.
      parts: what may be drawn for each slot of a pipeline.
      objective: metric or cost -> "maximize" or "minimize", the most important first; see `autokd.objective`.
      constraints: cost -> largest value allowed: params, macs, size in bytes, latency in milliseconds.
      budget, screen: how long things are trained, how students are screened.
      warm: pipelines to try early, each as a mapping of slots to partial values.
      dropped: "path: reason" for everything that resolving left out.
    """

    source: str
    text: str
    description: str
    parts: Mapping[str, Part]
    objective: Mapping[str, str]
    constraints: Mapping[str, float]
    budget: Budget
    screen: Screen
    warm: tuple[Mapping[str, Any], ...] = ()
    dropped: tuple[str, ...] = ()

    def resolve(
        self,
        task: Task,
        teacher: Shapes | None,
        *,
        max_params: float | None = None,
        max_macs: float | None = None,
        max_size: float | None = None,
        max_latency: float | None = None,
        **budget: int | None,
    ) -> Space:
        """Return the space that is left for a task and a teacher.

        Args:
          task: the data.
          teacher: what the teacher offers; None without a teacher.
          max_params, max_macs, max_size, max_latency: constraints that override the file's.
          budget: fields of `Budget` that override the file's; None keeps.
        Raises:
          SpaceError: nothing is left for a slot; says why.
        """
        dropped, problems = list(self.dropped), list[str]()
        parts = {
            name: part.filtered(lambda c: _misfit(c, task, teacher), dropped, problems)
            for name, part in self.parts.items()
        }
        if not problems:
            students = parts["student"].candidates
            parts = {
                name: _fed(part, students, task, teacher, dropped, problems)
                if isinstance(part, Several)
                else part.filtered(lambda c: _unfed(c, students), dropped, problems)
                for name, part in parts.items()
            }
            always = [c for part in parts.values() if isinstance(part, Several) for c in part.always]
            parts = {
                name: part
                if isinstance(part, Several)
                else part.filtered(lambda c: _beside(c, always), dropped, problems)
                for name, part in parts.items()
            }
        while not problems:  # what is left out may be what another one requires
            before, possible = len(dropped), {c.full_name for part in parts.values() for c in part.possible}
            alone = functools.partial(_alone, there=possible)
            parts = {name: part.filtered(alone, dropped, problems) for name, part in parts.items()}
            if len(dropped) == before:
                break
        if problems:
            raise SpaceError(problems, f"{self.source} for {task.dataset}")
        limits = {"params": max_params, "macs": max_macs, "size": max_size, "latency": max_latency}
        space = dataclasses.replace(
            self,
            parts=parts,
            constraints={**self.constraints, **{key: float(v) for key, v in limits.items() if v is not None}},
            budget=dataclasses.replace(self.budget, **{key: v for key, v in budget.items() if v is not None}),
        )
        warm = {index: space.misfits(space.complete(partial)) for index, partial in enumerate(self.warm)}
        dropped += [f"warm_starts.{index}: {'; '.join(found)}" for index, found in warm.items() if found]
        kept = tuple(partial for index, partial in enumerate(self.warm) if not warm[index])
        return dataclasses.replace(space, warm=kept, dropped=tuple(dropped))

    def teacher_parts(self) -> frozenset[str]:
        """Return the parts of the teacher's output, beside the logits, that any component of the space reads."""
        reading = [c.traits for part in self.parts.values() for c in part.candidates if c.traits.teacher != "none"]
        return frozenset(need for traits in reading for need in traits.needs)

    def draw(self, draw: Draw, number: int) -> Drawn:
        """Draw a pipeline; the values come from `draw`, each asked for under its path.

        Args:
          draw: a sampler's suggestions.
          number: the trial's number; seeds the order in which suggestions above a bound are cut.
        """
        return self._compose(Source(draw, ask_members(draw), number))

    def sample(self, rng: numpy.random.Generator, number: int) -> Drawn:
        """Draw a pipeline at random; the number of optional components is drawn before which ones they are."""
        return self.place(lambda path: rng.random(), number)

    def place(self, unit: Callable[[str], float], number: int) -> Drawn:
        """Return the pipeline at a point of the unit cube; the number of optional components comes before which ones.

        Args:
          unit: gives the point's coordinate in [0, 1) on one of the `axes`.
          number: as for `draw`.
        """
        return self._compose(Source(UnitDraw(unit), count_members(unit), number))

    def axes(self) -> list[str]:
        """Return the names of the coordinates of a point: every parameter, and how many of each group."""
        counts = [name for part in self.parts.values() if isinstance(part, Several) for name in part.counts]
        return [*self.ranges(), *counts]

    def default(self) -> Drawn:
        """Return the first option of everything, with the components' own defaults where they lie inside the ranges."""
        return self._drawn({})

    @property
    def warm_starts(self) -> tuple[Drawn, ...]:
        """Known good pipelines to try early."""
        return tuple(self._drawn(partial) for partial in self.warm)

    def complete(self, partial: Mapping[str, Any]) -> dict[str, Any]:
        """Fill what a partial pipeline leaves out with defaults; return it as a plain pipeline."""
        filled = {
            name: part.complete(partial[name]) if name in partial else part.default()
            for name, part in self.parts.items()
        }
        single = [(part, filled[name]["use"]) for name, part in self.parts.items() if isinstance(part, OneOf)]
        present = [candidate for part, use in single if (candidate := part.find(use)) is not None]
        filled |= {
            name: part.beside(filled[name], present) for name, part in self.parts.items() if isinstance(part, Several)
        }
        return {"format": spec.FORMAT, **filled}

    def params_of(self, plain: Mapping[str, Any]) -> Params | None:
        """Return the parameters that draw a plain pipeline, or None where it lies outside the space."""
        params, problems = self._fit(plain)
        return None if problems else params

    def misfits(self, plain: Mapping[str, Any]) -> list[str]:
        """Say why a plain pipeline lies outside the space; [] where it lies inside."""
        return self._fit(plain)[1]

    def ranges(self) -> dict[str, Range]:
        """Return the range of every parameter that can occur, by path."""
        return {path: span for part in self.parts.values() for path, span in part.spans().items()}

    def identity(self) -> dict[str, Any]:
        """Return all that makes this space what it is, as JSON-able data; without the trials, which may be added to."""
        budget = {key: value for key, value in dataclasses.asdict(self.budget).items() if key != "trials"}
        return {
            **{name: part.identity() for name, part in self.parts.items()},
            "objective": dict(self.objective),
            "constraints": dict(self.constraints),
            "budget": budget,
            "screen": {"proxies": list(self.screen.proxies), "enqueue": self.screen.enqueue},
            "warm_starts": [start.plain for start in self.warm_starts],
        }

    def students(self, rng: numpy.random.Generator, n: int) -> list[dict[str, Any]]:
        """Return up to `n` distinct random students, as plain components; fewer where the space has fewer."""

        def unit(path: str) -> float:
            return rng.random()

        source = Source(UnitDraw(unit), count_members(unit), 0)
        found: dict[str, dict[str, Any]] = {}
        misses = 0
        while len(found) < n and misses < PATIENCE:
            student = self.parts["student"].draw(source, ()).value
            known = len(found)
            found.setdefault(spec.fingerprint(student), student)
            misses = misses + 1 if len(found) == known else 0
        return list(found.values())

    def _drawn(self, partial: Mapping[str, Any]) -> Drawn:
        plain = self.complete(partial)
        return Drawn(plain, self._fit(plain)[0])

    def _compose(self, source: Source) -> Drawn:
        values, params, present = dict[str, Any](), Params(), list[Candidate]()
        for name, part in self._single_first():
            found = part.draw(source, present)
            values[name] = found.value
            params |= found.params
            present += found.chosen
        return Drawn({"format": spec.FORMAT, **{name: values[name] for name in self.parts}}, params)

    def _fit(self, plain: Mapping[str, Any]) -> tuple[Params, list[str]]:
        params, present, problems = Params(), list[Candidate](), list[str]()
        for name, part in self._single_first():
            if name not in plain:
                problems.append(f"{name}: missing")
                continue
            found = part.fit(plain[name], present, problems)
            params |= found.params
            present += found.chosen
        return params, problems

    def _single_first(self) -> list[tuple[str, Part]]:
        """The parts, sets of components last: what may stand in them depends on what else is there."""
        return sorted(self.parts.items(), key=lambda item: isinstance(item[1], Several))


def _misfit(candidate: Candidate, task: Task, teacher: Shapes | None) -> str | None:
    """Why a component cannot be used for a task and a teacher, or None."""
    traits = candidate.traits
    if task.modality not in traits.modalities:
        return (
            f"{candidate.use} takes {' or '.join(sorted(traits.modalities))} input, {task.dataset} is {task.modality}"
        )
    if task.num_classes < traits.min_classes:
        return f"{candidate.use} needs at least {traits.min_classes} classes, {task.dataset} has {task.num_classes}"
    if traits.teacher == "none":
        return None
    if teacher is None:
        return f"{candidate.use} needs a teacher, there is none"
    missing = sorted(need for need in traits.needs if not getattr(teacher, need))
    return f"{candidate.use} needs {' and '.join(missing)}, which the teacher does not offer" if missing else None


def _unfed(candidate: Candidate, students: Sequence[Candidate]) -> str | None:
    """Why a component cannot read what it needs of every student, or None."""
    for student in students:
        missing = sorted(candidate.traits.student_needs - student.traits.offers)
        if missing:
            return f"{candidate.use} needs {' and '.join(missing)}, which the student {student.use} does not offer"
    return None


def _fed(
    part: Several,
    students: Sequence[Candidate],
    task: Task,
    teacher: Shapes | None,
    dropped: list[str],
    problems: list[str],
) -> Several:
    """Leave out what no student feeds; what only some of them feed must not stand beside the others."""
    refused = {
        c.place: {s.use: why for s in students if (why := _unfed(c, [s]) or refusal(c, s, task, teacher))}
        for c in part.candidates
    }
    by_all = {place: next(iter(why.values())) for place, why in refused.items() if len(why) == len(students)}
    left = part.filtered(lambda c: by_all.get(c.place), dropped, problems)
    dropped += [f"{c.place}: not beside {use}: {why}" for c in left.candidates for use, why in refused[c.place].items()]
    return left.apart(lambda c: [f"students.{use}" for use in refused[c.place]])


def _beside(candidate: Candidate, always: list[Candidate]) -> str | None:
    """Why a component cannot stand beside those that are always there, or None."""
    against = [other.use for other in always if clash(candidate, other)]
    if against:
        return f"{candidate.use} must not stand beside {', '.join(against)}"
    wanting = [other.use for other in always if any(_of_kind(name, candidate) for name in lacks(other, [candidate]))]
    return f"{', '.join(wanting)} cannot stand beside {candidate.use}" if wanting else None


def _of_kind(name: str, candidate: Candidate) -> bool:
    return name.startswith(f"{candidate.kind}.")


def _alone(candidate: Candidate, there: Collection[str]) -> str | None:
    """Why a component never finds what it requires beside it, or None."""
    missing = sorted(candidate.traits.requires - {*there})
    return (
        f"{candidate.use} needs {' and '.join(missing)} beside it, which this space does not offer" if missing else None
    )
