"""What one should know before approving what a study recommends: numbered checks, each with its finding.

A check is a function of `Facts` that returns what it found, or None where it does not apply, and a `Rule` that says in
words what it is. It is one entry in the list of its file, and an entry in docs/checks.md that `docs/checks.py` writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from autokd.files import clean
from autokd.study.checks import claimed, data, search, student, teacher
from autokd.study.checks.check import MARKS, Check, Found, Rule, Severity
from autokd.study.checks.facts import Facts

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

RULES: tuple[Rule, ...] = (*teacher.RULES, *student.RULES, *claimed.RULES, *search.RULES, *data.RULES)
"""All checks, by number."""

__all__ = ["MARKS", "RULES", "Check", "Facts", "Found", "Rule", "Severity", "check", "count"]


def check(study: StudyStore) -> list[Check]:
    """Return the checks that apply to a study, the worst first and then by number."""
    facts = Facts(study)
    found = [(rule, rule.look(facts)) for rule in RULES]
    checks = [_made(rule, each) for rule, each in found if each is not None]
    return sorted(checks, key=lambda each: (list(MARKS).index(each.severity), each.rule.number))


def count(checks: Iterable[Check], severity: Severity) -> int:
    """Return how many checks have a severity."""
    return sum(each.severity == severity for each in checks)


def _made(rule: Rule, found: Found) -> Check:
    todo = (found.todo or rule.todo) if found.severity in ("stop", "warn") else ""
    return Check(rule=rule, severity=found.severity, says=clean(found.says), todo=todo)
