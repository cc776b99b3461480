"""What is left of the parts of a space for a task and a teacher: what no pipeline could use is left out, with why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from autokd.declarations import NO_MEMBERS, NO_VIEWS
from autokd.input_kind import takes
from autokd.space.buildable import offered_parts, offers_of, refusal, uncopied, unset
from autokd.space.candidate import Candidate, clash, lacks
from autokd.space.number import Ranged
from autokd.space.parts import Check, Part
from autokd.space.sizes import too_large, up_to_limits
from autokd.space.values import edges
from autokd.spec import (
    Number,
    Slot,
    Slots,
    beside_slots,
    is_teacher,
    member_of,
    network_slot,
    offered_by,
    unlabelled_slots,
)
from autokd.types import Shapes, Task


class Situation(NamedTuple):
    """What a space is resolved for.

    Args:
      task: the data.
      teacher: what the teacher offers; None without a teacher.
    """

    task: Task
    teacher: Shapes | None

    def offers_to(self, candidate: Candidate) -> Shapes | None:
        """Return what the teacher, or the member of it that a component names, offers; None without a teacher."""
        return None if self.teacher is None else offered_by(candidate.traits.reads_of, self.teacher)


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
    left = _made_of_teacher(left, situation)
    if not left.problems:
        left = _fitted_to_network(left, table, situation)
        left = _fitting_starts(left, table, situation.task)
        always = [candidate for part in left.parts.values() for candidate in part.always]
        left = left.filtered(lambda candidate: _beside(candidate, always), following=False)
    while not left.problems:  # what is left out may be what another one requires
        before = len(left.dropped)
        left = _without_the_lonely(left)
        if len(left.dropped) == before:
            break
    return left


def within_reach(left: Remainder, task: Task, limits: Mapping[str, float]) -> Remainder:
    """Leave out the students made of the teacher's network that are too large however much of it is cut away."""
    return left.filtered(lambda candidate: too_large(candidate, task, limits) if candidate.traits.copies else None)


def about_unlabelled(left: Remainder, table: Slots, task: Task) -> Remainder:
    """Search what is about samples without labels, if the data have some; leave it out if they have none."""
    parts = dict(left.parts)
    for name in unlabelled_slots(table):
        slot = table[name]
        if not task.unlabelled and name in parts:
            del parts[name]
            left.dropped.append(f"{name}: {task.dataset} has no samples without labels; give some with --unlabelled")
        elif task.unlabelled and name not in parts and isinstance(slot, Number) and slot.range is not None:
            first, *_ = edges(slot.range)
            parts[name] = Ranged(slot=name, span=slot.range, default=first)
    return left._replace(parts=parts)


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
    if traits.changes and teacher is not None and not teacher.views:
        return f"{candidate.use} {NO_VIEWS}"
    return _untaught(candidate, teacher) if is_teacher(traits.reads_of) else None


def _untaught(candidate: Candidate, teacher: Shapes | None) -> str | None:
    """Why a component that reads the teacher cannot read this one, or None."""
    if teacher is None:
        return f"{candidate.use} needs a teacher, there is none"
    traits, number = candidate.traits, member_of(candidate.traits.reads_of)
    if traits.members and not teacher.members:
        return f"{candidate.use} {NO_MEMBERS}"
    if number > len(teacher.members):
        given = f"the ensemble has {len(teacher.members)}" if teacher.members else "the teacher is one"
        return f"{candidate.place} reads member {number} of an ensemble of teachers, and {given}"
    return _lacking(candidate, teacher.members if traits.members else (offered_by(traits.reads_of, teacher),))


def _made_of_teacher(left: Remainder, situation: Situation) -> Remainder:
    """Give the students that are made of the teacher's network its name; leave out those that cannot be."""
    if situation.teacher is None or left.problems:
        return left
    network = situation.teacher.network

    def made(candidate: Candidate) -> Candidate:
        return candidate.made_of(network, offered_parts(candidate, network, situation.task))

    def changed(part: Part) -> Part:
        return part.changed(lambda candidate: made(candidate) if candidate.traits.copies else candidate)

    left = left.filtered(lambda c: uncopied(c, network, situation.task) if c.traits.copies else None)
    return left if left.problems else left._replace(parts={name: changed(part) for name, part in left.parts.items()})


def _lacking(candidate: Candidate, read: Sequence[Shapes]) -> str | None:
    """What a component reads that those do not all offer whose answers it reads, or None."""
    missing = sorted(part for part in candidate.traits.reads if not all(getattr(each, part) for each in read))
    who = "not every member of the ensemble offers" if candidate.traits.members else "the teacher does not offer"
    return f"{candidate.use} needs {' and '.join(missing)}, which {who}" if missing else None


def _fitted_to_network(left: Remainder, table: Slots, situation: Situation) -> Remainder:
    """Leave out what no candidate for the network feeds; what only some feed must not stand beside the others.

    A part that does not look at what other slots hold cannot keep out of their way: it leaves out what any of the
    candidates does not feed.
    """
    networks = left.parts[network_slot(table)].candidates
    beside = {name: left.parts[name].candidates for name in beside_slots(table) if name in left.parts}
    parts = dict(left.parts)
    for name, part in left.parts.items():
        slot = table[name]
        tried = situation if isinstance(slot, Slot) and slot.on_network else None
        refusals = {c.place: list(_refusals(c, networks, beside, tried)) for c in part.candidates}
        parts[name] = _apart(part, refusals, len(networks) if part.follows else 1, left)
        if tried is not None:
            parts[name] = _apart_from_peers(parts[name], beside, tried, left)
    return left._replace(parts=parts)


def _fitting_starts(left: Remainder, table: Slots, task: Task) -> Remainder:
    """Leave out what cannot set the weights of some candidate for the network."""
    networks, parts = left.parts[network_slot(table)].candidates, dict(left.parts)
    setting = [name for name, slot in table.items() if isinstance(slot, Slot) and slot.sets_network]
    for name in (name for name in setting if name in parts):
        refusals = {c.place: list(_unset_networks(c, networks, task)) for c in parts[name].candidates}
        parts[name] = _apart(parts[name], refusals, 1, left)
    return left._replace(parts=parts)


def _refusals(
    candidate: Candidate,
    networks: Sequence[Candidate],
    beside: Mapping[str, Sequence[Candidate]],
    tried: Situation | None,
) -> Iterable[tuple[Candidate, str]]:
    """The networks that a component cannot stand on, with why; where `tried`, it is also built on each.

    One that reads the answers of a network beside the student must fit all of those, and both ways round.
    """
    others = beside.get(candidate.traits.reads_of, ())
    for network in networks:
        pairs: list[tuple[Candidate, Candidate | None]] = [] if others else [(network, None)]
        pairs += [pair for other in others for pair in ((network, other), (other, network))]
        reasons = (_misfit_of_pair(candidate, one, other, tried) for one, other in pairs)
        why = next((reason for reason in reasons if reason is not None), None)
        if why is not None:
            yield network, why


def _unset_networks(candidate: Candidate, networks: Sequence[Candidate], task: Task) -> Iterable[tuple[Candidate, str]]:
    """The networks whose weights a component cannot set, with why."""
    reasons = ((network, unset(candidate, network, task)) for network in networks)
    return ((network, why) for network, why in reasons if why is not None)


def _misfit_of_pair(
    candidate: Candidate, network: Candidate, other: Candidate | None, tried: Situation | None
) -> str | None:
    """Why a component cannot stand on a network and read another one's answers (None: the teacher's, if anybody's)."""
    missing = sorted(candidate.traits.reads - other.traits.offers) if other is not None else []
    if missing and other is not None:
        return f"{candidate.use} needs {' and '.join(missing)}, which {other.full_name} does not offer"
    why = _unfed(candidate, network)
    if why is not None or tried is None:
        return why
    teachers = [tried.offers_to(candidate)] if other is None else offers_of(other, tried.task)
    reasons = (refusal(candidate, network, tried.task, teacher) for teacher in teachers)
    return next((reason for reason in reasons if reason is not None), None)


def _apart(part: Part, refusals: Mapping[str, list[tuple[Candidate, str]]], limit: int, left: Remainder) -> Part:
    """Leave out what is refused by `limit` networks, and keep the rest apart from those that refuse it."""
    reasons = {place: refused[0][1] for place, refused in refusals.items() if len(refused) >= limit}
    kept = part.filtered(lambda candidate: reasons.get(candidate.place), left.dropped, left.problems)
    for candidate in kept.candidates:
        place = candidate.place
        left.dropped.extend(f"{place}: not beside {network.use}: {why}" for network, why in refusals.get(place, ()))
    return kept.changed(lambda c: c.excluding(network.full_name for network, _ in refusals.get(c.place, ())))


def _apart_from_peers(part: Part, beside: Mapping[str, Sequence[Candidate]], tried: Situation, left: Remainder) -> Part:
    """Keep the losses that read nobody's answers, which a peer learns by too, apart from peers that cannot."""
    peers = [peer for candidates in beside.values() for peer in candidates]
    alone = [candidate for candidate in part.candidates if not candidate.traits.reads_of]
    refusals = {candidate.place: list(_refusals(candidate, peers, {}, tried)) for candidate in alone}
    return _apart(part, refusals, len(peers) + 1, left) if any(refusals.values()) else part


def _unfed(candidate: Candidate, network: Candidate) -> str | None:
    """Why a component cannot read what it needs of a network, or None."""
    missing = sorted(candidate.traits.student_reads - network.traits.offers)
    if not missing:
        return None
    return f"{candidate.use} needs {' and '.join(missing)}, which the {network.slot} {network.use} does not offer"


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
