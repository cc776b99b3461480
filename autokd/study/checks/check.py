"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts

Severity = Literal["stop", "warn", "unknown", "pass"]
MARKS: dict[Severity, str] = {"stop": "✕", "warn": "▲", "unknown": "–", "pass": "✓"}
"""The sign of each severity, the worst first."""


class Found(NamedTuple):
    """What a check found.

    Args:
      severity: "stop" (do not ship before it is mended), "warn" (know of it), "unknown" (not checked, for a reason that
        is said) or "pass".
      says: one sentence with the figure in it.
      todo: what to do, a sentence; "" for what the check says of itself, and where there is nothing to do.
    """

    severity: Severity
    says: str
    todo: str = ""


def stop(says: str, todo: str = "") -> Found:
    """Return a finding that must be mended first."""
    return Found("stop", says, todo)


def warn(says: str, todo: str = "") -> Found:
    """Return a finding that one must know of."""
    return Found("warn", says, todo)


def unknown(says: str) -> Found:
    """Return why something could not be checked."""
    return Found("unknown", says)


def passed(says: str) -> Found:
    """Return what was found to be in order."""
    return Found("pass", says)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check, with what the documentation says of it.

    Args:
      number: never given to another one.
      title: a few words; with the number the heading of its entry in docs/checks.md.
      means: why it matters.
      how: how it is computed, and from where on it fires.
      todo: what to do where it fires.
      look: facts -> what was found; None where the check does not apply.
    """

    number: int
    title: str
    means: str
    how: str
    todo: str
    look: Callable[[Facts], Found | None]

    @property
    def anchor(self) -> str:
        """Of its entry in docs/checks.md: "7-calibration"."""
        return f"{self.number} {self.title}".lower().replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check that was made.

    Args:
      rule: that was applied.
      severity, says, todo: as found; `todo` is "" where there is nothing to do.
    """

    rule: Rule
    severity: Severity
    says: str
    todo: str

    @property
    def mark(self) -> str:
        """Its sign."""
        return MARKS[self.severity]
