"""Screening: which of a space's students are tried early, before anything is trained, and how more are compared later.

Students are ordered by what decides (`autokd.study.proxies`): their sizes, and the proxies that have earned it on
trained students. Size alone chooses no student: of every size stratum the best, and of other families, are tried.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.search.screen.screener import Screener
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import LEARNED, deciding, key_of, learned_model, value_of, with_learned, worth_of_proxies
from autokd.study.records import Records
from autokd.study.student_model import StudentModel

STRATA = 4
"""Size strata: over a half of the largest student's parameters, over a quarter, over an eighth, and the rest."""
MIDDLE = 0.5
"""Rank of a student that a proxy cannot judge."""


def screen(
    screener: Screener,
    students: Sequence[Mapping[str, Any]],
    on_student: Callable[[int, int], None] | None = None,
    *,
    by: Sequence[str],
    lower: Sequence[str] = (),
    enough: Callable[[], bool] = lambda: False,
) -> list[ScreenedStudent]:
    """Score students and return them in the order in which they are to be tried; see `diverse`.

    Args:
      screener: scores them.
      students: plain ones.
      on_student: called with (scored, in all) after each, or after some.
      by: names of what decides.
      lower: names of the proxies of which less is better.
      enough: asked before each, or before some, whether there is no time for proxies any more; the rest have their
        sizes alone.
    """
    rows: list[ScreenedStudent] = []
    while len(rows) < len(students):
        some = students[len(rows) : len(rows) + screener.at_a_time]
        rows += screener.rate(some, screener.sizes if enough() else None)
        if on_student is not None:
            on_student(len(rows), len(students))
    scores = mean_ranks(rows, by, lower)
    scored = [dataclasses.replace(row, score=float(score)) for row, score in zip(rows, scores, strict=True)]
    return diverse(scored, len(scored))


def mean_ranks(rows: Sequence[ScreenedStudent], by: Sequence[str], lower: Sequence[str] = ()) -> NDArray[np.float64]:
    """Return the mean rank of each student over what decides, 0 for the worst to 1 for the best; [n].

    The rank is the middle where a proxy cannot judge a student, and the worst where it gave no finite number.
    """
    if not rows or not by:
        return np.full(len(rows), MIDDLE)
    mean: NDArray[np.float64] = np.mean([_ranks([value_of(row, name, lower) for row in rows]) for name in by], axis=0)
    return mean


def score_against(
    screened: Sequence[ScreenedStudent], student: ScreenedStudent, by: Sequence[str], lower: Sequence[str] = ()
) -> float:
    """Return the score of one more student against a screened population, 0 to 1: the mean share that it beats."""
    shares = []
    for name in by:
        own = value_of(student, name, lower)
        judged = [value for row in screened if (value := value_of(row, name, lower)) is not None]
        shares.append(MIDDLE if own is None or not judged else sum(value < own for value in judged) / len(judged))
    return float(np.mean(shares)) if shares else MIDDLE


class Standard(NamedTuple):
    """What students are compared by, at some time of a study.

    Args:
      by: names of what decides.
      model: the study's own, where it decides.
      rows: the screened students, with what the model says of them.
      lower: names of the proxies of which less is better.
    """

    by: tuple[str, ...]
    model: StudentModel | None
    rows: Sequence[ScreenedStudent]
    lower: tuple[str, ...]

    @classmethod
    def of(cls, records: Records) -> Standard:
        """Return what a study's records bear; a pure function of them."""
        by = deciding(worth_of_proxies(records))
        model = learned_model(records) if LEARNED in by else None
        return cls(by, model, with_learned(model, records.screen), records.screening.lower_is_better)

    @property
    def reads(self) -> tuple[str, ...] | None:
        """Names of the proxies that a student is scored with; None: all, since the model reads them."""
        return None if self.model else self.by

    def score(self, student: Mapping[str, Any], known: Mapping[str, ScreenedStudent], screener: Screener) -> float:
        """Return how good a plain student is, 0 to 1.

        Args:
          student: plain.
          known: students that were scored before, by `key_of`.
          screener: scores others; with all its proxies where the model reads them.
        """
        row = known.get(key_of(student)) or screener.screened(student, self.reads)
        return score_against(self.rows, with_learned(self.model, [row])[0], self.by, self.lower)


class Standards:
    """What students are compared by, found out once for each state of a study's records."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, int], Standard] = {}

    def of(self, records: Records) -> Standard:
        """Return what the records bear."""
        done = sum(len(trial.rungs) for trial in records.trials.values())
        state = done, len(records.screen), len(records.screening.later)
        if state not in self._found:
            self._found = {state: Standard.of(records)}
        return self._found[state]


def stratum_of(params: int, largest: int) -> int:
    """Return the size stratum of a student, 0 for the largest.

    >>> [stratum_of(params, 80) for params in (80, 41, 40, 21, 20, 10, 1)]
    [0, 0, 1, 1, 2, 3, 3]
    """
    return min(STRATA - 1, int(math.log2(max(largest, 1) / max(params, 1))))


def diverse(rows: Sequence[ScreenedStudent], count: int) -> list[ScreenedStudent]:
    """Return the students that are tried first: the size strata in turn, the largest students' first.

    Of a stratum it is one of the family that was taken least so far, and of these the best by score; among equals the
    one that stands first.

    Args:
      rows: screened students.
      count: how many, at most.
    """
    largest = max((row.params for row in rows), default=1)
    strata: list[list[ScreenedStudent]] = [[] for _ in range(STRATA)]
    for row in rows:
        strata[stratum_of(row.params, largest)].append(row)
    chosen: list[ScreenedStudent] = []
    taken: dict[str, int] = {}
    while len(chosen) < min(count, len(rows)):
        for stratum in filter(None, strata):
            best = min(stratum, key=lambda row: (taken.get(row.student["use"], 0), -row.score))
            stratum.remove(best)
            chosen.append(best)
            taken[best.student["use"]] = taken.get(best.student["use"], 0) + 1
    return chosen[:count]


def _ranks(values: Sequence[float | None]) -> NDArray[np.float64]:
    from scipy.stats import rankdata  # slow to import

    judged = np.array([value is not None for value in values])
    there = [value for value in values if value is not None]
    ranks = np.full(len(values), MIDDLE)
    ranks[judged] = (rankdata(there) - 1) / max(1, len(there) - 1) if there else MIDDLE
    return ranks
