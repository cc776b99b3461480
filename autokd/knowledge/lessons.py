"""Studies learnt into a base: what was new in each, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from autokd.errors import StudyError, UserError
from autokd.knowledge.base import write_card
from autokd.knowledge.card import StudyCard
from autokd.knowledge.learn import learn
from autokd.study.store import StudyStore


class Lesson(NamedTuple):
    """What became of a study that was to be learnt.

    Args:
      study: its name.
      card: what it taught; None where that was nothing.
      before: the card that the base had of it; None where it had none.
      left_out: runs that are not on the card, since their pipelines hold what is not autokd's own.
      why: it taught nothing; "" where it did.
    """

    study: str
    card: StudyCard | None = None
    before: StudyCard | None = None
    left_out: int = 0
    why: str = ""

    @property
    def outcome(self) -> str:
        """ "new", "grown" (there was an older card), "known" (there was one that says as much), or "nothing"."""
        if self.card is None:
            return "nothing"
        if self.before is None:
            return "new"
        return "grown" if len(self.card.runs) > len(self.before.runs) else "known"


def learn_into(folder: Path, studies: Sequence[StudyStore]) -> list[Lesson]:
    """Learn studies into a base that is a folder; it is made where it is missing.

    Raises:
      StudyError: none of them taught anything.
      UserError: the folder is a file, or a file of the base is damaged.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"{folder} is a file, and studies are learnt into a folder; autokd knowledge merge makes one file"
        )
    lessons = [_lesson(folder, study) for study in studies]
    if all(lesson.card is None for lesson in lessons):
        raise StudyError("; ".join(lesson.why for lesson in lessons))
    return lessons


def _lesson(folder: Path, study: StudyStore) -> Lesson:
    try:
        card, left_out = learn(study)
    except StudyError as error:
        return Lesson(study.name, why=str(error))
    return Lesson(study.name, card, write_card(folder, card), left_out)
