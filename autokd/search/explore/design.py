"""A main-effects design around the best known recipe: what each option of each slot does to it.

A trial of the design is the best recipe so far with one or two slots changed, until every option was seen twice: first
with its defaults, then, or where these lie outside the budget, with drawn values. Whatever is decided follows from the
records.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autokd import spec
from autokd.objective import ACCURACY, Objective
from autokd.ranges import Choice, Integer, Range
from autokd.search.explore.families import FAMILY
from autokd.seeds import derive
from autokd.space import AnyOf, ByStart, Candidate, Drawn, OneOf, Space, restarted
from autokd.space.values import UnitDraw
from autokd.study.pareto import finished_best_first
from autokd.study.records import TrialRecord

DESIGN = "design"
"""Source of a trial of the design."""
TWICE = 2
"""Trials in which every option is to be seen."""
FEW = 6
"""Whole numbers that a slot may hold of which each counts as an option."""


class Option(NamedTuple):
    """One thing that a slot may hold.

    Args:
      slot: of the pipeline.
      value: plain: a component with its defaults, or a number.
      candidate: whose fields are drawn on second sight; None: the value stays.
      member: its name among the components of a slot that holds several; "" elsewhere.
    """

    slot: str
    value: Any
    candidate: Candidate | None = None
    member: str = ""

    def stands_in(self, pipeline: Mapping[str, Any]) -> bool:
        """Whether a plain pipeline has it, with whatever values of its fields."""
        held = pipeline.get(self.slot)
        if self.member:
            return self.member in (held or {})
        if self.candidate is None or held is None:
            return bool(held == self.value)
        return bool(held["use"] == self.candidate.use)

    def drawn(self, rng: np.random.Generator) -> Any:
        """Return its plain value with drawn fields."""
        return self.value if self.candidate is None else self.candidate.draw(UnitDraw(lambda _: rng.random()), "")[0]


class Designed(NamedTuple):
    """A trial of the design, and the number of the trial that it was changed from; None: the space's default."""

    drawn: Drawn
    base: int | None


def options_of(space: Space, students: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
    """Return the options of every slot that has several.

    Args:
      space: the resolved space.
      students: those that are options of the student's slot, plain; one that stands there twice counts once.
    """
    network = spec.network_slot(space.slots)
    distinct = {spec.fingerprint(dict(student)): dict(student) for student in students}
    found = {
        name: [Option(network, student) for student in distinct.values()]
        if name == network
        else [*_options(name, part)]
        for name, part in space.parts.items()
    }
    return tuple(option for slot in found.values() for option in slot if len(slot) > 1 or option.member)


def _options(slot: str, part: Any) -> Iterator[Option]:
    """What a part may hold."""
    if isinstance(part, AnyOf):
        optional = [candidate for candidate in part.possible if candidate not in part.always]
        yield from (Option(slot, c.default(), c, c.name) for c in optional)
    elif isinstance(part, ByStart):
        yield from _options(slot, part.of(weights=False))
    elif isinstance(part, OneOf):
        yield from (Option(slot, candidate.default(), candidate) for candidate in part.candidates)
    else:
        yield from (Option(slot, value) for span in part.spans().values() for value in _few(span))


def _few(span: Range) -> Sequence[Any]:
    """The values of a range that has few."""
    if isinstance(span, Choice):
        return span.options
    values = range(span.low, span.high + 1, span.step) if isinstance(span, Integer) else range(0)
    return values if len(values) <= FEW else ()


@dataclass(frozen=True, kw_only=True)
class MainEffects:
    """The design.

    Args:
      space: the resolved space.
      options: of its slots; see `options_of`.
      most: trials of the design, at most.
      seed: the study's.
      objective: says which recipe is the best.
    """

    space: Space
    options: tuple[Option, ...]
    most: int
    seed: int
    objective: Objective = ACCURACY

    def propose(self, trials: Sequence[TrialRecord], number: int, usable: Callable[[Drawn], bool]) -> Designed | None:
        """Return the next trial of the design, a pure function of the trials; None where the design is over.

        Args:
          trials: the study's so far.
          number: of the trial to be asked.
          usable: whether a pipeline may be a trial.
        """
        if sum(trial.source == DESIGN for trial in trials) >= self.most:
            return None
        lacking = self._lacking(trials)
        if not lacking:
            return None
        base, start = self._base(trials)
        rng, anew = (np.random.default_rng(derive(self.seed, DESIGN, number, *more)) for more in ((), ("drawn",)))
        for first, is_drawn in itertools.product(lacking, (False, True)):  # defaults may lie outside the budget
            for second in self._partners(first, lacking, trials):
                chosen = [first] if second is None else [first, second]
                values = [option.drawn(anew) if is_drawn else self._value(option, trials, rng) for option in chosen]
                drawn = changed(self.space, start, list(zip(chosen, values, strict=True)))
                if drawn is not None and usable(drawn):
                    return Designed(drawn, base)
        return None

    def _lacking(self, trials: Sequence[TrialRecord]) -> list[Option]:
        """The options that were not seen often enough: the least seen first, and the slots in turn."""
        places = {name: itertools.count() for name in self.space.slots}
        rows = [(_seen(trials, option), next(places[option.slot]), option) for option in self.options]
        return [option for count, _, option in sorted(rows, key=lambda row: row[:2]) if count < TWICE]

    def _partners(
        self, first: Option, lacking: Sequence[Option], trials: Sequence[TrialRecord]
    ) -> Iterator[Option | None]:
        """What may be changed along with an option, in another slot; None: nothing.

        First what lacks as well and was not seen with it, so that pairs differ; last what only makes room.
        """
        others = [option for option in lacking if option.slot != first.slot and not _seen(trials, first, option)]
        yield from others
        yield None
        yield from (option for option in self.options if option.slot != first.slot and option not in others)

    def _value(self, option: Option, trials: Sequence[TrialRecord], rng: np.random.Generator) -> Any:
        """Its defaults on first sight, drawn values later."""
        return option.drawn(rng) if _seen(trials, option) else option.value

    def _base(self, trials: Iterable[TrialRecord]) -> tuple[int | None, Mapping[str, Any]]:
        """The best recipe, on whatever family, of those that went furthest; the default where none is in the space."""
        known = [trial for trial in trials if trial.recipe or trial.source in ("warm_start", FAMILY)]
        inside = [trial for trial in known if trial.params is not None and trial.failure is None]
        furthest = max((len(trial.rungs) for trial in inside), default=0)
        if not furthest:
            return None, self.space.default().plain
        best = finished_best_first(inside, furthest - 1, self.objective)[0]
        return best.number, best.pipeline


def _seen(trials: Iterable[TrialRecord], *options: Option) -> int:
    """How many trials have all of these."""
    return sum(all(option.stands_in(trial.pipeline) for option in options) for trial in trials)


def changed(space: Space, base: Mapping[str, Any], changes: Sequence[tuple[Option, Any]]) -> Drawn | None:
    """Return a pipeline with other values in some slots, less what may not stand beside them.

    Args:
      space: the resolved space.
      base: the plain pipeline.
      changes: options, each with the value that takes the place.

    Returns:
      None where the space has no such pipeline.
    """
    sets = {name: part for name, part in space.parts.items() if isinstance(part, AnyOf)}
    own = {option.slot: value for option, value in changes if not option.member}
    values = restarted(space, {**base, **own}, base, own)
    values |= {slot: _members(part, base[slot], changes) for slot, part in sets.items()}
    plain = space.complete(values)
    beside = {name: values[name] for name in spec.beside_slots(space.slots) if name in values}
    for slot in sets:
        plain = _with_what_may_stay(space, plain, beside, {slot: base[slot]})
    params = space.params_of(plain)
    return None if params is None else Drawn(plain, params)


def _members(part: AnyOf, base: Mapping[str, Any], changes: Sequence[tuple[Option, Any]]) -> dict[str, Any]:
    """The changed members of a set, with those of the base that must stay."""
    new = {option.member: value for option, value in changes if option.slot == part.slot}
    return {name: base[name] for name in part.kept_beside(new, base)} | new


def _with_what_may_stay(
    space: Space, plain: dict[str, Any], beside: Mapping[str, Any], base: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A pipeline with those members of a set of the base that may stand in it, one after the other."""
    for slot, members in base.items():
        for name in [name for name in members if name not in plain[slot]]:
            more = spec.without_idle({**plain, **beside, slot: {**plain[slot], name: members[name]}}, space.slots)
            plain = more if space.params_of(more) is not None else plain
    return plain
