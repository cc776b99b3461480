"""What is left of the parts of a space for a task and a teacher: what no pipeline could use is left out, with why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from autokd.input_kind import takes
from autokd.space.buildable import refusal, unset
from autokd.space.candidate import Candidate, clash, lacks
from autokd.space.parts import Check, Part
from autokd.space.sizes import up_to_limits
from autokd.spec import Number, Slot, Slots, network_slot
from autokd.types import Shapes, Task


class Situation(NamedTuple):
    """What a space is resolved for.

    Args:
      task: the data.
      teacher: what the teacher offers; None without a teacher.
    """

    task: Task
    teacher: Shapes | None


class Remainder(NamedTuple):
    """What is left of the parts of a space.

    Args:
      parts: by slot.
      dropped: "path: reason" for every candidate that was left out.
      problems: why nothing is left for a slot; then the parts are of no use.
    """

    parts: Mapping[str, Part]
    dropped: list[str]
    problems: list[str]

    def filtered(self, check: Check, *, following: bool = True) -> Remainder:
        """Leave out the candidates that fail the check; those of parts that follow others only where `following`."""
        parts = {
            name: part.filtered(check, self.dropped, self.problems) if following or not part.follows else part
            for name, part in self.parts.items()
        }
        return self._replace(parts=parts)


def resolve_parts(parts: Mapping[str, Part], table: Slots, situation: Situation) -> Remainder:
    """Leave out what does not fit the data, the teacher, the network, or what stands in every pipeline.

    Args:
      parts: what may be drawn, by slot.
      table: the slots of a pipeline.
      situation: what the space is resolved for.
    """
    left = Remainder(parts, [], []).filtered(lambda candidate: _misfit(candidate, situation))
    if not left.problems:
        left = _fitted_to_network(left, table, situation)
        always = [candidate for part in left.parts.values() for candidate in part.always]
        left = left.filtered(lambda candidate: _beside(candidate, always), following=False)
    while not left.problems:  # what is left out may be what another one requires
        before = len(left.dropped)
        left = _without_the_lonely(left)
        if len(left.dropped) == before:
            break
    return left


def with_sizes(parts: Mapping[str, Part], table: Slots, task: Task, limits: Mapping[str, float]) -> dict[str, Part]:
    """Return the parts with the sizes of the networks ending where the limits do, as far as the space asks for it."""
    network = network_slot(table)
    return {**parts, network: parts[network].changed(lambda candidate: up_to_limits(candidate, task, limits))}


def _misfit(candidate: Candidate, situation: Situation) -> str | None:
    """Why a component cannot be used for a task and a teacher, or None."""
    traits, task, teacher = candidate.traits, situation.task, situation.teacher
    if not takes(traits.modalities, task.modality):
        return (
            f"{candidate.use} takes {' or '.join(sorted(traits.modalities))} input, {task.dataset} is {task.modality}"
        )
    if task.num_classes < traits.min_classes:
        return f"{candidate.use} needs at least {traits.min_classes} classes, {task.dataset} has {task.num_classes}"
    if traits.teacher == "none":
        return None
    if teacher is None:
        return f"{candidate.use} needs a teacher, there is none"
    missing = sorted(part for part in traits.reads if not getattr(teacher, part))
    return f"{candidate.use} needs {' and '.join(missing)}, which the teacher does not offer" if missing else None


def _fitted_to_network(left: Remainder, table: Slots, situation: Situation) -> Remainder:
    """Leave out what no candidate for the network feeds; what only some feed must not stand beside the others.

    A part that does not look at what other slots hold cannot keep out of their way: it leaves out what any of the
    candidates does not feed.
    """
    networks = left.parts[network_slot(table)].candidates
    parts = dict(left.parts)
    for name, part in left.parts.items():
        slot = table[name]
        refusals = {c.place: list(_refusals(c, networks, slot, situation)) for c in part.candidates}
        parts[name] = _apart(part, refusals, len(networks) if part.follows else 1, left)
    return left._replace(parts=parts)


def _refusals(
    candidate: Candidate, networks: Iterable[Candidate], slot: Slot | Number, situation: Situation
) -> Iterable[tuple[Candidate, str]]:
    """The networks that a component cannot stand on, with why; it is also tried on each where its slot says so."""
    for network in networks:
        why = _unfed(candidate, network)
        if why is None and isinstance(slot, Slot) and slot.on_network:
            why = refusal(candidate, network, situation.task, situation.teacher)
        if why is None and isinstance(slot, Slot) and slot.sets_network:
            why = unset(candidate, network, situation.task)
        if why is not None:
            yield network, why


def _apart(part: Part, refusals: Mapping[str, list[tuple[Candidate, str]]], limit: int, left: Remainder) -> Part:
    """Leave out what is refused by `limit` networks, and keep the rest apart from those that refuse it."""
    reasons = {place: refused[0][1] for place, refused in refusals.items() if len(refused) >= limit}
    kept = part.filtered(lambda candidate: reasons.get(candidate.place), left.dropped, left.problems)
    for candidate in kept.candidates:
        place = candidate.place
        left.dropped.extend(f"{place}: not beside {network.use}: {why}" for network, why in refusals[place])
    return kept.changed(lambda c: c.excluding(network.full_name for network, _ in refusals[c.place]))


def _unfed(candidate: Candidate, network: Candidate) -> str | None:
    """Why a component cannot read what it needs of a network, or None."""
    missing = sorted(candidate.traits.student_reads - network.traits.offers)
    if not missing:
        return None
    return f"{candidate.use} needs {' and '.join(missing)}, which the student {network.use} does not offer"


def _beside(candidate: Candidate, always: Collection[Candidate]) -> str | None:
    """Why a component cannot stand beside those that are always there, or None."""
    against = [other.use for other in always if clash(candidate, other)]
    if against:
        return f"{candidate.use} must not stand beside {', '.join(against)}"
    wanting = [other.use for other in always if any(_of_slot(name, candidate) for name in lacks(other, [candidate]))]
    return f"{', '.join(wanting)} cannot stand beside {candidate.use}" if wanting else None


def _of_slot(name: str, candidate: Candidate) -> bool:
    return name.startswith(f"{candidate.slot}.")


def _without_the_lonely(left: Remainder) -> Remainder:
    """Leave out the components that never find what they require beside them."""
    possible = {candidate.full_name for part in left.parts.values() for candidate in part.possible}

    def lonely(candidate: Candidate) -> str | None:
        missing = sorted(candidate.traits.requires - possible)
        if not missing:
            return None
        return f"{candidate.use} needs {' and '.join(missing)} beside it, which this space does not offer"

    return left.filtered(lonely)
