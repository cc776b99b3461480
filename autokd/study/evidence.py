"""Trained students that were scored before: a study's own, and those of similar past studies.

Scores and proxies of different studies are never compared with each other: ranks are taken within a study, and so is
what size explains. For the model of students the scores of each study are brought to mean 0 and spread 1, and what
proxies said of its students to the mean and spread that they have among this study's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

from autokd.study.choice import ScreenedStudent
from autokd.study.past import PastStudent
from autokd.study.student_model import StudentModel, fit

FEWEST_TRIALS = 20
"""Finished trials from which on a proxy may decide."""
FEWEST_STUDENTS = 8
"""Distinct students that they need to have; a study of fewer is no evidence beside others."""


class Evidence(NamedTuple):
    """Finished trials, their students, and the studies that they are of."""

    trials: int = 0
    students: int = 0
    studies: int = 0


class Pair(NamedTuple):
    """A trial's score, and its student as screened, with what identifies it."""

    score: float
    student: ScreenedStudent
    key: str


class Learned(NamedTuple):
    """A model of what students reach, and what it says of those of each study, by key, fitted without the student."""

    model: StudentModel
    left_out: list[dict[str, float]]


def past_pairs(studies: Sequence[Sequence[PastStudent]], lower: Sequence[str]) -> list[list[Pair]]:
    """Return the trials of each past study.

    Args:
      studies: their students.
      lower: names of the proxies of which less is better, as screened students have them.
    """
    return [
        [Pair(score, _screened(each, lower), str(place)) for place, each in enumerate(study) for score in each.scores]
        for study in studies
    ]


def students_of(pairs: Sequence[Pair]) -> dict[str, ScreenedStudent]:
    """Return the distinct students of some trials, by key."""
    return {pair.key: pair.student for pair in pairs}


def evidence_of(studies: Sequence[Sequence[Pair]]) -> Evidence:
    """Return how much some studies tell."""
    return Evidence(sum(map(len, studies)), sum(len(students_of(study)) for study in studies), len(studies))


def learned(own: Sequence[Pair], past: Sequence[Sequence[Pair]], known: Sequence[ScreenedStudent]) -> Learned | None:
    """Return what trials teach of students; None where they are too few.

    Args:
      own: trials of the study.
      past: those of past ones.
      known: all scored students of the study.
    """
    counts = len(students_of(own)) >= FEWEST_STUDENTS or not past
    told = evidence_of([own, *past] if counts else past)
    if told.trials < FEWEST_TRIALS or told.students < FEWEST_STUDENTS:
        return None
    studies = [*([own] if counts else []), *(_brought(study, known) for study in past)]
    if past:
        studies = [_standard(study) for study in studies]
    fitted = fit(*_units(studies))
    said = iter(fitted.left_out.tolist())
    left_out = [{key: next(said) for key in students_of(study)} for study in studies]
    if not counts:
        left_out.insert(0, _said(fitted.model, students_of(own)))
    return Learned(fitted.model, left_out)


def _said(model: StudentModel, students: Mapping[str, ScreenedStudent]) -> dict[str, float]:
    """What a model says of students, by key."""
    said = model.predict([*students.values()]).tolist() if students else []
    return dict(zip(students, said, strict=True))


def _units(studies: Sequence[Sequence[Pair]]) -> tuple[list[ScreenedStudent], list[float], list[int]]:
    """The students of all studies, the mean of each one's scores, and how many these are."""
    rows: list[ScreenedStudent] = []
    scores: list[list[float]] = []
    for study in studies:
        found = students_of(study)
        rows += found.values()
        scores += ([pair.score for pair in study if pair.key == key] for key in found)
    return rows, [fmean(each) for each in scores], [len(each) for each in scores]


def _standard(study: Sequence[Pair]) -> list[Pair]:
    """Trials with scores of mean 0 and spread 1."""
    scores = [pair.score for pair in study]
    mean, spread = fmean(scores), pstdev(scores)
    return [pair._replace(score=(pair.score - mean) / (spread or 1.0)) for pair in study]


def _brought(study: Sequence[Pair], known: Sequence[ScreenedStudent]) -> list[Pair]:
    """Trials whose students have the proxies that this study's have, on the scale that these have here."""
    here, there = _scales(known), _scales([*students_of(study).values()])

    def on_scale(proxies: Mapping[str, float | None]) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for name, value in proxies.items():
            if value is not None and name in here:
                (mean, spread), (mean_there, spread_there) = here[name], there[name]
                found[name] = mean + (value - mean_there) / (spread_there or math.inf) * spread
        return found

    return [
        pair._replace(student=dataclasses.replace(pair.student, proxies=on_scale(pair.student.proxies)))
        for pair in study
    ]


def _scales(students: Sequence[ScreenedStudent]) -> dict[str, tuple[float, float]]:
    """Mean and spread of each proxy, by name."""
    values: dict[str, list[float]] = {}
    for student in students:
        for name, value in student.proxies.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: (fmean(each), pstdev(each)) for name, each in values.items()}


def _screened(student: PastStudent, lower: Sequence[str]) -> ScreenedStudent:
    return ScreenedStudent(
        student=student.student,
        params=student.params,
        macs=student.macs,
        proxies={name: -value if name in lower else value for name, value in student.proxies.items()},
        score=0.0,
        not_finite=student.not_finite,
    )
