"""What one should know before approving: the checks of the study, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autokd.report.printed import Printed
from autokd.report.sections.checks.facts import grouped, heading
from autokd.study.checks import check

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Checks"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the checks by severity; None where none applies yet."""
    checks = check(study)
    if not checks:
        return None
    return {"heading": heading(checks, claimed=study.records.claim is not None), "groups": grouped(checks)}


def printed(study: StudyStore) -> Iterator[Printed]:
    """Yield what stands against approving, a line each."""
    checks = check(study)
    yield f"\n{heading(checks, claimed=True)}"
    for each in checks:
        if each.severity in ("stop", "warn"):
            yield f"  {each.mark} {each.says} {each.todo if each.severity == 'stop' else ''}".rstrip()
