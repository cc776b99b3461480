"""Which components may stand together in a pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

from autokd.space.candidate import Candidate, clash, lacks


def required_by(present: Iterable[Candidate]) -> set[str]:
    """Return the full names of the components that must stand beside those that are there."""
    return {name for candidate in present for name in candidate.traits.requires}


def cut_order(candidates: Iterable[Candidate], required: Collection[str], number: int, group: int) -> list[Candidate]:
    """Return candidates in the order in which they are kept: required ones first, the others shuffled.

    Args:
      candidates: of one group.
      required: full names.
      number: the trial's number; every trial and group has an order of its own, the same on every machine.
      group: the group's index.
    """

    def rank(candidate: Candidate) -> tuple[bool, str]:
        digest = hashlib.sha256(f"{number}/{group}/{candidate.name}".encode()).hexdigest()
        return candidate.full_name not in required, digest

    return sorted(candidates, key=rank)


def compatible(candidates: Iterable[Candidate], at_most: int, present: Sequence[Candidate]) -> list[Candidate]:
    """Return the first so many candidates that clash neither with what is there nor with one another."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if len(kept) < at_most and not any(clash(candidate, other) for other in (*present, *kept)):
            kept.append(candidate)
    return kept


def without_replaced(kept: Sequence[Candidate]) -> list[Candidate]:
    """Leave out what another component that is there stands in the place of."""
    replaced = {name for candidate in kept for name in candidate.traits.replaces}
    return [candidate for candidate in kept if candidate.full_name not in replaced]


def supported(
    kept: Sequence[Candidate], always: Collection[Candidate], present: Sequence[Candidate]
) -> Sequence[Candidate]:
    """Leave out what lacks a component that it requires, until nothing does; what is always there stays."""
    while unmet := [c for c in kept if c not in always and lacks(c, (*present, *kept))]:
        kept = [candidate for candidate in kept if candidate not in unmet]
    return kept


def conflicts(slot: str, chosen: Sequence[Candidate], present: Sequence[Candidate]) -> list[str]:
    """Say which components of a slot must not stand there, and which are missing.

    Args:
      slot: its name, for the paths.
      chosen: its components.
      present: those of other slots.
    """
    everything = (*present, *chosen)
    problems = [f"{o.slot}.{o.name}: needs {name} beside it" for o in present for name in lacks(o, everything)]
    for candidate in chosen:
        problems += _conflicts_of(f"{slot}.{candidate.name}", candidate, everything)
    for other in present:
        against = [candidate for candidate in chosen if candidate.full_name in other.traits.excludes]
        problems += [f"{slot}.{candidate.name}: must not stand beside {other.full_name}" for candidate in against]
    return problems


def _conflicts_of(path: str, candidate: Candidate, everything: Sequence[Candidate]) -> list[str]:
    """What a component declares against, and what it lacks."""
    others = [other.full_name for other in everything if other is not candidate]
    against = [name for name in others if name in candidate.traits.excludes]
    missing = lacks(candidate, everything)
    return [
        *(f"{path}: must not stand beside {name}" for name in against),
        *(f"{path}: needs {name} beside it" for name in missing),
    ]
