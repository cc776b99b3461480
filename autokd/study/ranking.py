"""Which trials are best, and at which rung trials are compared: one answer each, for search, summaries and reports."""

from __future__ import annotations

from collections.abc import Iterable

from autokd.study.records import TrialRecord

ENOUGH_FOR_A_RUNG = 8
"""Trials that must have reached a rung before it becomes the common one."""


def ranked(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that finished a rung and did not fail: longest first, then by score, then by loss."""
    alive = [trial for trial in trials if trial.rungs and trial.failure is None]
    return sorted(alive, key=lambda t: (-len(t.rungs), -t.rungs[-1].score, t.rungs[-1].loss, t.number))


def common_rung(trials: Iterable[TrialRecord], enough: int = ENOUGH_FOR_A_RUNG) -> int:
    """Return the highest rung that enough trials have finished, 0 where none has."""
    reached = [len(trial.rungs) for trial in trials if trial.failure is None]
    counts = [sum(1 for length in reached if length > rung) for rung in range(max(reached, default=0))]
    return max((rung for rung, count in enumerate(counts) if count >= enough), default=0)
