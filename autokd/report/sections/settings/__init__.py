"""What was asked, the data, and where it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.settings.facts import card, setting, space_text
from autokd.study.split_reads import reads_of_test

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Settings"


def show(study: StudyStore) -> dict[str, Any]:
    """Return what the study's files say beside `study.yaml`, which the template reads itself."""
    return {
        "card": card(study),
        "reads": reads_of_test(study.path),
        "space_text": space_text(study.path),
        "budget": study.settings.identity.budget_of(len(study.records.trials)),
        "setting": setting,
    }
