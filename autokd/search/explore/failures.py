"""Failed trials are counted; too many stop the search."""

from __future__ import annotations

from autokd.errors import TooManyFailures
from autokd.study.failures import kind_of
from autokd.study.records import TrialRecord

FAULTS = ("error", "crash", "timeout")
"""Kinds of failure that are somebody's mistake or the machine's, and not a pipeline that does not train."""
IN_A_ROW = 3
"""Trials failing one after another by a fault that stop the search."""


class Failures:
    """Counts the failed trials of a session, and stops the search where they are too many.

    Args:
      most: failed trials that stop the search; None: as many as may be.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._failed: list[TrialRecord] = []
        self._faults_in_a_row = 0

    def check(self, trial: TrialRecord) -> None:
        """Count a trial whose rung is over.

        Raises:
          TooManyFailures: as many as allowed have failed, or `IN_A_ROW` one after another by a fault.
        """
        if trial.failure is None:
            self._faults_in_a_row = 0
            return
        self._failed.append(trial)
        self._faults_in_a_row = self._faults_in_a_row + 1 if kind_of(trial.failure) in FAULTS else 0
        if self._faults_in_a_row == IN_A_ROW:
            raise TooManyFailures(f"{IN_A_ROW} trials in a row failed: {self._reasons(self._failed[-IN_A_ROW:])}")
        if self._most is not None and len(self._failed) >= self._most:
            raise TooManyFailures(f"{len(self._failed)} trials failed: {self._reasons(self._failed)}")

    @staticmethod
    def _reasons(trials: list[TrialRecord]) -> str:
        reasons = list(dict.fromkeys(trial.why_failed for trial in trials if trial.failure is not None))
        return "; ".join(reasons[:IN_A_ROW]) + "; the same command goes on once the cause is mended"
