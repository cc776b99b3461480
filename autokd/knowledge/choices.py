"""What was chosen in each place of a pipeline: which component, and in which band a number lies.

A place is "student", "losses", "losses.kd.temperature" or "batch_size"; what is chosen there is a component's name or a
band of numbers. Of a foreign table's columns that are none of autokd's fields, the place is "other.x1".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autokd import catalog
from autokd.knowledge.card import CardRun, StudyCard
from autokd.spec import Slot, slots

LOSSES = "losses"
OTHER = "other"
"""Slot of what is no field of autokd's."""
SIZE = "share of the limit on parameters"
"""Place of a student's size."""
ASKED = frozenset({"temperature", "weight", "label_smoothing", "learning_rate", "depth"})
"""Fields of components that are asked about; the others of a few dozen runs' fields would drown these in noise."""
ORIGIN = "origin"
"""Place of who chose a pipeline: known recipes, a design, random draws. These differ in what is not asked about too."""
TAUGHT = "any with a teacher"
"""In the place of losses: any that reads one."""
FEW = 5
"""Different numbers up to which each is an option by itself."""
BANDS = 3
"""Bands that more numbers are cut into, with as many different numbers in each: a default counts once."""


class Choice(NamedTuple):
    """Something that a pipeline can have.

    Args:
      place: where.
      option: a component, a word, or a band of numbers.
    """

    place: str
    option: str

    def owns(self, other: Choice) -> bool:
        """Whether the other is this one, or a choice inside it: kd owns the temperatures of kd."""
        return other == self or other.place.startswith(f"{self.place}.{self.option}.")


class Bands:
    """How the numbers of each place are told apart: the same way in all studies.

    Args:
      cards: the studies whose numbers they are.
    """

    def __init__(self, cards: Iterable[StudyCard]) -> None:
        numbers: dict[str, list[float]] = {}
        for card in cards:
            for run in card.runs:
                for place, value in _chosen(run, card):
                    if not isinstance(value, str):
                        numbers.setdefault(place, []).append(value)
        self._cuts = {place: _cuts(values) for place, values in numbers.items()}

    def of(self, run: CardRun, card: StudyCard) -> frozenset[Choice]:
        """Return what a run's pipeline has; of a run of the same cards as the bands."""
        return frozenset(Choice(place, self._option(place, value)) for place, value in _chosen(run, card))

    def rank(self, choice: Choice) -> float:
        """Return what orders the choices of a place: bands by their numbers, components not at all."""
        cuts = self._cuts.get(choice.place)
        if not cuts:
            return 0.0 if cuts is None else float(choice.option)
        return float(_names(cuts).index(choice.option))

    def _option(self, place: str, value: float | str) -> str:
        if isinstance(value, str):
            return value
        cuts = self._cuts[place]
        return _names(cuts)[sum(value > cut for cut in cuts)] if cuts else f"{value:.6g}"


def reads_a_teacher(choice: Choice) -> bool:
    """Whether it is a loss of this version that reads the teacher, as losses do unless a pipeline says otherwise."""
    known = choice.place == LOSSES and choice.option in catalog.shipped(LOSSES)
    return known and catalog.load(LOSSES, choice.option).declares.reads_of == "teacher"


def is_many(place: str) -> bool:
    """Whether several components may be chosen there at once."""
    slot = slots().get(place)
    return isinstance(slot, Slot) and slot.many


def _chosen(run: CardRun, card: StudyCard) -> Iterator[tuple[str, float | str]]:
    """Every place that a run's pipeline fills, with the number or the name there."""
    yield ORIGIN, run.source.split(":")[0]
    for slot, value in run.pipeline.items():
        if slot == OTHER:
            yield from ((f"{OTHER}.{name}", _plain(each)) for name, each in value.items())
        elif slot != "format":
            yield from _of_slot(slot, value)
    limit = card.facts.limits.get("params", 0.0)
    if limit > 0 and run.params > 0:
        yield SIZE, run.params / limit


def _of_slot(slot: str, value: Any) -> Iterator[tuple[str, float | str]]:
    if not isinstance(value, Mapping):
        yield slot, _plain(value)
        return
    for part in [value] if "use" in value else value.values():
        yield slot, str(part["use"])
        for name, field in part.items():
            if name in ASKED and isinstance(field, int | float):
                yield f"{slot}.{part['use']}.{name}", float(field)


def _plain(value: Any) -> float | str:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _cuts(values: Sequence[float]) -> tuple[float, ...]:
    """Where numbers are cut, to two digits; () where they are few."""
    ordered = sorted(set(values))
    if len(ordered) <= FEW:
        return ()
    at = [ordered[len(ordered) * band // BANDS] for band in range(1, BANDS)]
    return tuple(sorted({_round(value) for value in at}))


def _round(value: float) -> float:
    return float(f"{value:.2g}") if math.isfinite(value) else value


def _names(cuts: Sequence[float]) -> list[str]:
    written = [f"{cut:.3g}" for cut in cuts]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(written)]
    return [f"up to {written[0]}", *between, f"above {written[-1]}"]
