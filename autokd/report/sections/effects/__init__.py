"""What each option of a slot is worth, from the trials of the design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.study.effects import effects

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Options"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return what the options are worth; None without a design."""
    found = effects(study.records)
    return {"effects": found} if found else None
