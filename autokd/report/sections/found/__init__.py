"""How the recommendation was found: the funnel, what failed, and the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.report.sections.found import facts, promise
from autokd.report.start import teacher_value

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "How it was found"


def show(study: StudyStore) -> dict[str, Any]:
    """Return the funnel, what was planned and done, the failures, and the teacher's value."""
    return {
        "funnel": facts.funnel(study),
        "promised": promise.promised(study),
        "happened": promise.happened(study),
        "failures": facts.failures(study.records.trials.values()),
        "teacher_value": teacher_value(study),
    }
