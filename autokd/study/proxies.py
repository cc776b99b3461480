"""Whether scores without training order a study's students, and beyond what their size says: which may decide anything.

A proxy decides where its order of the trained students agrees with what these reached, once all that follows from size
is taken off both: parameters and multiply-accumulates, on a log scale and as ranks, regressed out of the ranks of both.
What is left is compared by Kendall's tau-b. The interval comes from a bootstrap over students, with the regression in
each resample; tests of several proxies are corrected after Holm (Scand. J. Statist. 6, 1979).

Until a study has enough trials of its own, those of similar past studies count beside them
(`autokd.study.evidence`).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.study.beyond_size import Series, pooled_beyond_size, ranks_of
from autokd.study.choice import ScreenedStudent
from autokd.study.evidence import (
    FEWEST_STUDENTS,
    FEWEST_TRIALS,
    Evidence,
    Pair,
    evidence_of,
    learned,
    past_pairs,
    students_of,
)
from autokd.study.fidelity import Tau, kendall, score_at
from autokd.study.intervals import holm
from autokd.study.past import PastStudent
from autokd.study.ranking import common_rung
from autokd.study.records import Records
from autokd.study.student_model import StudentModel

Floats = NDArray[np.float64]
SIZES = ("params", "macs")
"""What every proxy has to beat; they decide from the start."""
LEARNED = "learned"
"""Name of what the study's own model says of students; see `autokd.study.student_model`."""
RELIABLE = 0.5
"""Least share of a proxy's variance over students that is not of its repeats; below it orders nothing."""
ALPHA = 0.025
"""Of the one-sided test: the lower end of a 95 % interval lies above 0."""


class Worth(NamedTuple):
    """What a proxy is worth in a study.

    Args:
      name: of the proxy.
      tau: of its order with the scores of the trials; None: not defined.
      beyond: the same once size is taken off; None: nothing is left, too few students, or it is size itself.
      p: one-sided probability of such a tau where there is none, corrected for the number of proxies; None: no test.
      trials, students: that both were known of.
      reliability: share of the variance over the screened students that is not of repeats; None: it was not repeated.
      not_finite: screened students for which it gave no finite number; they count as its worst.
      decides: whether it orders students in this study; sizes do from the start.
      why: that it does not, in words; "" otherwise.
      past: what `beyond` rests on beside the study's own trials; nothing once these are enough.
    """

    name: str
    tau: Tau | None
    beyond: Tau | None
    p: float | None
    trials: int
    students: int
    reliability: float | None
    not_finite: int
    decides: bool
    why: str
    past: Evidence = Evidence()

    @property
    def evidence(self) -> Evidence:
        """What `beyond` rests on; beside past studies, own trials of too few students do not count."""
        alone = Evidence(self.trials, self.students, 1)
        counts = not self.past.studies or self.students >= FEWEST_STUDENTS
        return Evidence(*map(sum, zip(alone, self.past, strict=True))) if counts else self.past


class _Trials(NamedTuple):
    """The trials whose students were scored, with what the model says of these: the study's own, and past ones'."""

    own: list[Pair]
    past: list[list[Pair]]
    model: StudentModel | None


def worth_of_proxies(records: Records) -> list[Worth]:
    """Return what each proxy is worth, sizes first; [] where nothing was screened.

    Trials are compared at the highest rung that `FEWEST_TRIALS` of them finished.
    """
    known, trials = scored(records), _trials(records)
    names = list(dict.fromkeys([*SIZES, *(name for student in known for name in student.proxies)]))
    names += [LEARNED] if trials.model is not None else []
    found = [_worth(name, trials, records) for name in names] if known else []
    return _corrected(found)


def learned_model(records: Records) -> StudentModel | None:
    """Return the model of what students reach, of the study's trials and past ones'; None from too few."""
    return _trials(records).model


def trained_students(records: Records) -> list[PastStudent]:
    """Return the students of a study that were scored and then trained, for studies that come after it."""
    pairs, lower = _pairs(records), records.screening.lower_is_better
    return [
        PastStudent(
            student=row.student,
            params=row.params,
            macs=row.macs,
            proxies={
                name: v for name in row.proxies if (v := value_of(row, name, lower)) is not None and math.isfinite(v)
            },
            not_finite=row.not_finite,
            scores=tuple(pair.score for pair in pairs if pair.key == key),
        )
        for key, row in students_of(pairs).items()
    ]


def with_learned(model: StudentModel | None, rows: Sequence[ScreenedStudent]) -> list[ScreenedStudent]:
    """Return students with what a model says of them among their proxies."""
    if model is None:
        return [*rows]
    return [_saying(row, value) for row, value in zip(rows, model.predict(rows).tolist(), strict=True)]


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def _trials(records: Records) -> _Trials:
    own, past = _pairs(records), past_pairs(records.past_students, records.screening.lower_is_better)
    found = learned(own, past, scored(records))
    if found is None:
        return _Trials(own, past, None)
    first, *rest = (
        [pair._replace(student=_saying(pair.student, said[pair.key])) for pair in study]
        for study, said in zip([own, *past], found.left_out, strict=True)
    )
    return _Trials(first, rest, found.model)


def _saying(row: ScreenedStudent, value: float) -> ScreenedStudent:
    return dataclasses.replace(row, proxies={**row.proxies, LEARNED: value})


def _pairs(records: Records) -> list[Pair]:
    """The trials that finished the rung at which proxies are judged, and whose student was scored."""
    trials, rung = records.trials.values(), rung_of(records)
    known = {key_of(each.student): each for each in scored(records)}
    reached = ((key_of(t.pipeline["student"]), s) for t in trials if (s := score_at(t, rung)) is not None)
    return [Pair(score, known[key], key) for key, score in reached if key in known]


def rung_of(records: Records) -> int:
    """Return the rung at which proxies are judged: the highest that `FEWEST_TRIALS` trials finished."""
    return common_rung(records.trials.values(), FEWEST_TRIALS)


def scored(records: Records) -> list[ScreenedStudent]:
    """Return all students of a study that were scored without training."""
    return [*records.screen, *records.screening.later]


def deciding(worths: Sequence[Worth]) -> tuple[str, ...]:
    """Return the names of the proxies that order students, sizes first."""
    return (*SIZES, *(worth.name for worth in worths if worth.decides and worth.name not in SIZES))


def key_of(student: Mapping[str, object]) -> str:
    """Identify a plain student."""
    return json.dumps(student, sort_keys=True)


def value_of(student: ScreenedStudent, name: str, lower: Sequence[str] = ()) -> float | None:
    """Return what a proxy says of a student, more is better; None where it cannot judge it.

    Where it gave no finite number, that is minus infinity: its worst.

    Args:
      student: as screened.
      name: of the proxy.
      lower: names of those of which less is better.
    """
    if name in student.not_finite:
        return -math.inf
    value = {"params": student.params, "macs": student.macs}.get(name, student.proxies.get(name))
    return None if value is None else float(-value if name in lower else value)


def reliability(students: Sequence[ScreenedStudent], name: str) -> float | None:
    """Return the share of the variance of a proxy's means over students that is not of its repeats, in [0, 1].

    None where it was not repeated, or with fewer than three students.
    """
    rows = [s for s in students if name in s.spread and s.proxies.get(name) is not None]
    means = [float(s.proxies[name] or 0.0) for s in rows]
    if len(rows) < 3:
        return None
    variance = float(np.var(means, ddof=1))
    noise = float(np.mean([s.spread[name] ** 2 / max(s.repeats, 1) for s in rows]))
    return max(0.0, 1.0 - noise / variance) if variance > 0 else 0.0


def _worth(name: str, trials: _Trials, records: Records) -> Worth:
    known, lower = scored(records), records.screening.lower_is_better
    own, *past = (
        [pair for pair in study if _value(pair, name, lower) is not None] for study in (trials.own, *trials.past)
    )
    worth = Worth(
        name=name,
        tau=None,
        beyond=None,
        p=None,
        trials=len(own),
        students=len(students_of(own)),
        reliability=reliability(known, name),
        not_finite=sum(name in student.not_finite for student in known),
        decides=name in SIZES,
        why="",
    )
    if len(own) > 2:
        values = ranks_of([_value(pair, name, lower) or 0.0 for pair in own]).tolist()
        worth = worth._replace(tau=kendall(values, [pair.score for pair in own], [pair.key for pair in own]))
    if worth.decides:
        return worth
    past = [study for study in past if len(students_of(study)) >= FEWEST_STUDENTS and len(own) < FEWEST_TRIALS]
    counts = worth.students >= FEWEST_STUDENTS
    beyond = pooled_beyond_size([_series(study, name, lower) for study in [*([own] if counts else []), *past]])
    worth = worth._replace(beyond=beyond, past=evidence_of(past))
    return worth._replace(p=_p(worth.beyond), why=_why_not(worth))


def _value(pair: Pair, name: str, lower: Sequence[str]) -> float | None:
    return value_of(pair.student, name, lower)


def _series(pairs: Sequence[Pair], name: str, lower: Sequence[str]) -> Series:
    """What a proxy says of the student of each trial, all of which it can judge, and what that reached."""
    values = [_value(pair, name, lower) or 0.0 for pair in pairs]
    return Series(values, [pair.score for pair in pairs], _sizes(pairs), [pair.key for pair in pairs])


def _sizes(pairs: Sequence[Pair]) -> Floats:
    """Parameters and multiply-accumulates of each trial's student, [n, 2]."""
    return np.array([[max(p.student.params, 1), max(p.student.macs, 1)] for p in pairs], dtype=float)


def _why_not(worth: Worth) -> str:
    """Why a proxy may not decide whatever its tau, or ""."""
    there = worth.evidence
    if there.trials < FEWEST_TRIALS:
        return f"{there.trials} finished trials, not {FEWEST_TRIALS}"
    if there.students < FEWEST_STUDENTS:
        return f"{there.students} students among them, not {FEWEST_STUDENTS}"
    if worth.reliability is not None and worth.reliability < RELIABLE:
        return "its repeats differ as much as students do"
    return "" if worth.beyond is not None else "it says nothing beyond size"


def _corrected(worths: Sequence[Worth]) -> list[Worth]:
    """Correct the tests for their number after Holm, and say which proxies decide."""
    corrected = iter(holm([worth.p for worth in worths if worth.p is not None]))
    return [worth if worth.p is None else _judged(worth, next(corrected)) for worth in worths]


def _judged(worth: Worth, p: float) -> Worth:
    why = worth.why or ("" if p < ALPHA else "what it says beyond size may be chance")
    return worth._replace(p=p, decides=not why, why=why)


def _p(tau: Tau | None) -> float | None:
    """One-sided probability of a tau as large where there is none; by its standard error."""
    if tau is None or tau.low is None or tau.high is None:
        return None
    from scipy.special import ndtr  # slow to import

    error = max(tau.high - tau.tau, tau.tau - tau.low) / 1.96
    return float(ndtr(-tau.tau / error)) if error > 0 else float(tau.tau <= 0)
