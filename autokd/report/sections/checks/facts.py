"""The checks of a study as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from autokd.report import words
from autokd.study.checks import MARKS, Check, Severity, count

MANY = 4
"""More checks than this that ask for nothing are folded."""
NAMES: dict[Severity, str] = {"stop": "stop", "warn": "warning", "unknown": "not checked", "pass": "passed"}
"""What a sign means, for those who do not see it."""


class Group(NamedTuple):
    """Checks of one severity.

    Args:
      severity: theirs.
      name, mark: what that is called, and its sign.
      checks: by number.
      folded: whether they are folded, with their number above.
    """

    severity: Severity
    name: str
    mark: str
    checks: tuple[Check, ...]
    folded: bool


def heading(checks: Sequence[Check], *, claimed: bool) -> str:
    """Return what the checks come to.

    Args:
      checks: of the study.
      claimed: whether there is something to approve yet.
    """
    stops, warnings, open_ones = (count(checks, severity) for severity in ("stop", "warn", "unknown"))
    parts = [words.number_of(number, thing) for number, thing in ((stops, "stop"), (warnings, "warning")) if number]
    found = ", ".join(parts) or ("no stop, no warning" if open_ones else "nothing speaks against it")
    told = f"{found}, {open_ones} not checked" if open_ones else found
    return f"{'Before you approve' if claimed else 'So far'}: {told}"


def grouped(checks: Sequence[Check]) -> list[Group]:
    """Return the checks by severity, the worst first; only severities that occur."""
    groups = [(severity, tuple(each for each in checks if each.severity == severity)) for severity in MARKS]
    return [
        Group(severity, NAMES[severity], MARKS[severity], found, severity in ("unknown", "pass") and len(found) > MANY)
        for severity, found in groups
        if found
    ]
