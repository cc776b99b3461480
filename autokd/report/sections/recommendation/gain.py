"""Where the gain comes from: the ladder from the recipe by hand to the pick."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from autokd.study.ablation import SlotValue, slot_values
from autokd.study.ladder import Step, ladder

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FLATTERED = "* One run, the best of many: it flatters the search."
"""What the star at a value says."""


class Rung(NamedTuple):
    """A line of the ladder.

    Args:
      step: what was trained.
      change: of the mean against the line above; None in the first line.
    """

    step: Step
    change: float | None


def rungs(study: StudyStore) -> list[Rung]:
    """Return the lines of the ladder that the study has; [] with a single one, which says nothing."""
    steps = ladder(study.records, study.rung_epochs[-1], study.objective.metric)
    if len(steps) < 2:
        return []
    changes = [after.mean - before.mean for before, after in itertools.pairwise(steps)]
    return [Rung(step, change) for step, change in zip(steps, [None, *changes], strict=True)]


def swaps(study: StudyStore) -> list[tuple[str, SlotValue]]:
    """Return (slot, what it is worth) of the slots of the pick that were swapped back, the most valuable first."""
    claim = study.records.claim
    found = {} if claim is None else slot_values(study.records, claim.round)
    return sorted(found.items(), key=lambda row: -row[1].difference)


def flattered(lines: list[Rung]) -> bool:
    """Whether a line's value is that of the trial that was chosen for it."""
    return any(line.step.flattered for line in lines)
