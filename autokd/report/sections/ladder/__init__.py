"""Where the gain comes from: the recipe, the teacher, or the losses that were found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.report.printed import Printed
from autokd.report.sections.ladder.facts import found
from autokd.report.sections.ladder.terminal import lines

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Gain"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the steps and what they say; None where fewer than two were trained at full length."""
    facts = found(study)
    return None if facts is None else facts._asdict()


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield the steps, and what the slots of the pick are worth."""
    facts = found(study)
    if facts is not None:
        yield from lines(facts, study.objective.metric)
