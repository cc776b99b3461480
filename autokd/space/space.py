"""A search space as a value: resolving it for a task, drawing pipelines from it, recognising pipelines in it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from autokd import spec
from autokd.errors import SpaceError
from autokd.objective import COSTS
from autokd.ranges import Range
from autokd.space.budget import Budget
from autokd.space.candidate import Candidate, Params
from autokd.space.parts import Content, Part
from autokd.space.resolve import Situation, about_unlabelled, resolve_parts, with_sizes, within_reach
from autokd.space.source import Source, ask_members, count_members
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
      slots: the slots of a pipeline.
      warm: pipelines to try early, each as a mapping of slots to partial values.
      from_weights: what parts hold where the student begins with weights, by slot.
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
    slots: spec.Slots = dataclasses.field(default_factory=spec.slots)
    warm: tuple[Mapping[str, Any], ...] = ()
    from_weights: Mapping[str, Part] = dataclasses.field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def resolve(self, task: Task, teacher: Shapes | None, **overrides: float | None) -> Space:
        """Return the space that is left for a task and a teacher.

        Args:
          task: the data.
          teacher: what the teacher offers; None without a teacher.
          overrides: `max_params`, `max_macs`, `max_size`, `max_latency`, and fields of `Budget`, in place of the file's
            constraints and budget; None keeps the file's.
        Raises:
          SpaceError: nothing is left for a slot; says why.
        """
        left = about_unlabelled(resolve_parts(self.parts, self.slots, Situation(task, teacher)), self.slots, task)
        if left.problems:
            raise SpaceError(left.problems, f"{self.source} for {task.dataset}")
        stated: dict[str, Any] = {key: value for key, value in overrides.items() if value is not None}
        limits = {cost: float(stated.pop(f"max_{cost}")) for cost in COSTS if f"max_{cost}" in stated}
        constraints = {**self.constraints, **limits}
        left = within_reach(left, task, constraints)
        if left.problems:
            raise SpaceError(left.problems, f"{self.source} for {task.dataset}")
        space = dataclasses.replace(
            self,
            parts=with_sizes(left.parts, self.slots, task, constraints),
            constraints=constraints,
            budget=dataclasses.replace(self.budget, **stated),
        )
        return space._with_fitting_warm_starts([*self.dropped, *left.dropped])

    def without(self, students: Mapping[str, str]) -> Space:
        """Return the space without some families of students, given why by the name of the component.

        Raises:
          SpaceError: no student is left.
        """
        slot, dropped, problems = spec.network_slot(self.slots), list[str](), list[str]()
        left = self.parts[slot].filtered(lambda candidate: students.get(candidate.use), dropped, problems)
        if problems:
            raise SpaceError(problems, self.source)
        space = dataclasses.replace(self, parts={**self.parts, slot: left})
        return space._with_fitting_warm_starts([*self.dropped, *dropped])

    def _with_fitting_warm_starts(self, dropped: list[str]) -> Space:
        """Leave out the warm starts that lie outside the space; say which beside what was dropped before."""
        misfits = [self.misfits(self.complete(partial)) for partial in self.warm]
        reasons = [f"warm_starts.{index}: {'; '.join(why)}" for index, why in enumerate(misfits) if why]
        warm = tuple(partial for partial, why in zip(self.warm, misfits, strict=True) if not why)
        return dataclasses.replace(self, warm=warm, dropped=(*dropped, *reasons))

    def teacher_parts(self) -> frozenset[str]:
        """Return the parts of the teacher's output, beside the logits, that any component of the space reads."""
        every = (candidate.traits for part in self.parts.values() for candidate in part.candidates)
        reading = [traits for traits in every if spec.is_teacher(traits.reads_of)]
        return frozenset(part for traits in reading for part in traits.reads)

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
          unit: gives the point's coordinate in [0, 1) for each path, and for `count_path` of each group.
          number: as for `draw`.
        """
        return self._compose(Source(UnitDraw(unit), count_members(unit), number))

    def default(self) -> Drawn:
        """Return the first option of everything, with the components' own defaults where they lie inside the ranges."""
        return self._drawn({})

    @property
    def warm_starts(self) -> tuple[Drawn, ...]:
        """Known good pipelines to try early."""
        return tuple(self._drawn(partial) for partial in self.warm)

    def complete(self, partial: Mapping[str, Any]) -> dict[str, Any]:
        """Fill what a partial pipeline leaves out with defaults; return it as a plain pipeline."""
        values, present = dict(partial), list[Candidate]()
        for name, part in self._in_order():
            if name in partial and partial[name] is None:
                continue  # an optional slot that is to hold nothing
            content = part.complete(partial.get(name), present)
            values[name] = content.value
            present += content.chosen
        return self._plain(values)

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
        student = self.parts[spec.network_slot(self.slots)]
        distinct: dict[str, dict[str, Any]] = {}
        misses = 0
        while len(distinct) < n and misses < PATIENCE:
            drawn = student.draw(source, ()).value
            before = len(distinct)
            distinct.setdefault(spec.fingerprint(drawn), drawn)
            misses = misses + 1 if len(distinct) == before else 0
        return list(distinct.values())

    def _drawn(self, partial: Mapping[str, Any]) -> Drawn:
        plain = self.complete(partial)
        return Drawn(plain, self._fit(plain)[0])

    def _compose(self, source: Source) -> Drawn:
        contents, present = dict[str, Content](), list[Candidate]()
        for name, part in self._in_order():
            contents[name] = part.draw(source, present)
            present += contents[name].chosen
        plain = self._plain({name: content.value for name, content in contents.items()})
        params = (content.params for name, content in contents.items() if name in plain)
        return Drawn(plain, {path: value for found in params for path, value in found.items()})

    def _fit(self, plain: Mapping[str, Any]) -> tuple[Params, list[str]]:
        params, present, problems = Params(), list[Candidate](), list[str]()
        idle = self._idle(plain)
        for name, part in self._in_order():
            if name in idle:
                problems += [] if plain.get(name) is None else [f"{name}: {self._why_idle(name)}"]
                continue
            if plain.get(name) is None:
                problems.append(f"{name}: missing")
                continue
            content = part.fit(plain[name], present, problems)
            params |= content.params
            present += content.chosen
        absent = [name for name in self.slots if name not in self.parts and plain.get(name) is not None]
        return params, problems + [f"{name}: this space has none" for name in absent]

    def _why_idle(self, name: str) -> str:
        return "every loss reads labels" if name in self._of_unlabelled else "no loss reads its answers"

    def _plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A plain pipeline with its slots in their order, less what none of its losses has a use for."""
        idle = self._idle(values)
        held = {name: values[name] for name in self.slots if values.get(name) is not None and name not in idle}
        return {"format": spec.FORMAT, **held}

    def _idle(self, values: Mapping[str, Any]) -> set[str]:
        """The slots that none of a plain pipeline's losses has a use for.

        For networks beside the student, if none reads their answers; about samples without labels, if all read labels.
        """
        idle = set(self._beside | self._of_unlabelled)
        for slot, part in self.parts.items() if idle else ():
            held = values.get(slot)
            there = held if isinstance(held, Mapping) else {}
            for traits in (candidate.traits for candidate in part.candidates if candidate.name in there):
                idle -= {traits.reads_of}
                idle -= self._of_unlabelled if traits.reads_of and not traits.reads_labels else frozenset()
        return idle

    @functools.cached_property
    def _of_unlabelled(self) -> frozenset[str]:
        """The slots of this space that are about samples without labels."""
        return frozenset(spec.unlabelled_slots(self.slots)) & self.parts.keys()

    @functools.cached_property
    def _beside(self) -> frozenset[str]:
        """The slots of this space for networks that train beside the student."""
        return frozenset(spec.beside_slots(self.slots)) & self.parts.keys()

    def _in_order(self) -> list[tuple[str, Part]]:
        """The parts in the order in which they are drawn: those that follow others last."""
        return sorted(self.parts.items(), key=lambda item: item[1].follows)
