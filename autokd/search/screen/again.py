"""Screening anew: once more than size decides, students are evolved for it, among thousands inside the limits."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.search.limits import Meter
from autokd.search.request import Notify, Progress
from autokd.search.rungs import trial_epochs
from autokd.search.screen.evolution import Evolution
from autokd.search.screen.screen import Standard, diverse, mean_ranks
from autokd.search.screen.screener import BATCH, Screener
from autokd.search.screen.stage import SHARE
from autokd.seeds import derive
from autokd.space import Budget
from autokd.space.architectures import Architectures
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES, with_learned
from autokd.study.records import RecordLog

log = logging.getLogger("autokd")

EVERY = 5
"""Trials between two looks at what decides."""
FEWEST, MOST = 64, 2000
"""Students that are looked at."""
STEPS = 4
"""Training steps that scoring a student takes as long as, about."""
KEPT = 32
"""Students that are kept, of all sizes and families."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """Evolves students when what decides has changed, and records the best of every size.

    Args:
      log: the study's records.
      architectures: the students inside the limits.
      screener: scores them.
      seed: the study's.
      count: how many are looked at.
      left: seconds that are left of the study's time.
      notify: tells how far it is.
      meter: measures what does not follow from a student's form, where that is limited; else None.
    """

    log: RecordLog
    architectures: Architectures
    screener: Screener
    seed: int
    count: int
    left: Callable[[], float]
    notify: Notify
    meter: Meter | None = None

    def __call__(self, number: int) -> None:
        """Look whether to screen anew before a trial is asked; what comes of it follows from the records."""
        records = self.log.records
        if number % EVERY or not records.screen:
            return
        standard = Standard.of(records)
        if standard.by == records.screening.by or not set(standard.by) - {*SIZES}:
            return
        beyond = [name for name in standard.by if name not in SIZES]
        log.info("students are evolved: what decides beyond size is now %s", ", ".join(beyond))
        found = self._evolved(standard, number)
        screening = dataclasses.replace(
            records.screening, by=standard.by, looked_at=records.screening.looked_at + len(found)
        )
        kept = self._kept(found, standard)
        self.log.append("screen", students=[dataclasses.asdict(row) for row in kept], **screening.to_plain())

    def _evolved(self, standard: Standard, number: int) -> list[ScreenedStudent]:
        end = (1 - SHARE) * self.left()

        def rate(students: Sequence[Mapping[str, Any]]) -> list[ScreenedStudent]:
            return self.screener.rate(students, standard.reads)

        evolution = Evolution(
            architectures=self.architectures,
            rate=rate,
            order=lambda rows: _order(rows, standard),
            rng=np.random.default_rng(derive(self.seed, "screen", "evolution", number)),
        )
        first = [row.student for row in self.log.records.screen]
        return evolution.run(
            [student for student in first if self.architectures.fits(student)],
            self.count,
            lambda done, total: self.notify(Progress(stage="screen", done=done, total=total)),
            enough=lambda: self.left() < end,
        )

    def _kept(self, found: Sequence[ScreenedStudent], standard: Standard) -> list[ScreenedStudent]:
        scores = _order(found, standard)
        scored = [dataclasses.replace(row, score=float(score)) for row, score in zip(found, scores, strict=True)]
        return [row for row in diverse(scored, KEPT) if self._fits(row.student)]

    def _fits(self, student: Mapping[str, Any]) -> bool:
        """Whether a student keeps the limits on what is measured."""
        return self.meter is None or self.meter.excess({"student": student}, self.architectures.limits) <= 1


def _order(rows: Sequence[ScreenedStudent], standard: Standard) -> NDArray[np.float64]:
    return mean_ranks(with_learned(standard.model, rows), standard.by, standard.lower)


def students_to_look_at(budget: Budget, samples: int) -> int:
    """Return how many students are looked at: for a share of the planned training, whatever a clock says.

    >>> students_to_look_at(Budget(trials=60, epochs=27), 45_000), students_to_look_at(Budget(trials=9), 300)
    (2000, 64)
    """
    steps = budget.trials * trial_epochs(budget) * samples / BATCH
    return int(min(MOST, max(FEWEST, SHARE * steps / STEPS)))
