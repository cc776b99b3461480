"""A small model of what students reach, learned from a study's own trials: one more score of students.

Ridge regression of the mean validation score of each trained student on its fields (numbers as logarithms, choices and
family as indicators), its costs and what proxies say of it. Columns are standardised and coefficients shrunk towards
zero, by as much as predicts best the students left out one at a time; so without evidence all predictions are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.study.choice import ScreenedStudent

Floats = NDArray[np.float64]
PENALTIES = tuple(float(10.0**power) for power in np.arange(0, 4.5, 0.5))
"""Strengths of the shrinkage: 1 is as much as the evidence of one trial."""
_IS = "is "


class StudentModel(NamedTuple):
    """A fitted model.

    Args:
      columns: names of the features.
      centre, scale: [P], of each feature.
      weights: [P], of the standardised features.
      mean: score of a student of which nothing is known.
    """

    columns: tuple[str, ...]
    centre: Floats
    scale: Floats
    weights: Floats
    mean: float

    def predict(self, students: Sequence[ScreenedStudent]) -> Floats:
        """Return the expected score of each student, [N]; what is not known of one counts as the mean."""
        found: Floats = self.mean + _standard(students, self.columns, self.centre, self.scale) @ self.weights
        return found


class Fitted(NamedTuple):
    """A model, and what it says of each of its students when it was fitted without that one, [N]."""

    model: StudentModel
    left_out: Floats


def fit(students: Sequence[ScreenedStudent], scores: Sequence[float], trials: Sequence[int]) -> Fitted:
    """Fit a model.

    Args:
      students: distinct ones.
      scores: mean of each one's trials.
      trials: how many these are.
    """
    columns = tuple(sorted({name for student in students for name in _features(student)}))
    raw = _matrix(students, columns)
    centre = np.array([_mean(column) for column in raw.T])
    filled = np.where(np.isnan(raw), centre, raw)
    scale = np.where(filled.std(0) > 1e-9, filled.std(0), np.inf)
    x, root = (filled - centre) / scale, np.sqrt(np.asarray(trials, dtype=float))
    y = np.asarray(scores, dtype=float)
    mean = float(np.average(y, weights=trials))
    best: tuple[float, Floats, Floats] | None = None
    for penalty in PENALTIES:
        weights, left_out = _ridge(x * root[:, None], (y - mean) * root, penalty)
        error = float(np.square((y - mean) * root - left_out).sum())
        if best is None or error < best[0]:
            best = error, weights, mean + left_out / root
    assert best is not None
    return Fitted(StudentModel(columns, centre, scale, best[1], mean), best[2])


def _ridge(x: Floats, y: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Weights of a ridge regression, and its prediction for each row when that is left out (the exact shortcut)."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    shrunk = s / (s**2 + penalty)
    weights = vt.T @ (shrunk * (u.T @ y))
    leverage = np.minimum((np.square(u) * (s * shrunk)).sum(1), 1 - 1e-9)
    left_out: Floats = y - (y - x @ weights) / (1 - leverage)
    return weights, left_out


def _standard(students: Sequence[ScreenedStudent], columns: Sequence[str], centre: Floats, scale: Floats) -> Floats:
    raw = _matrix(students, columns)
    found: Floats = np.where(np.isnan(raw), 0.0, (raw - centre) / scale)
    return found


def _matrix(students: Sequence[ScreenedStudent], columns: Sequence[str]) -> Floats:
    """Features, [N, P]; NaN where a student has none, but an indicator is 0 then."""
    rows = [_features(student) for student in students]
    absent = [0.0 if name.startswith(_IS) else math.nan for name in columns]
    return np.array([[row.get(name, none) for name, none in zip(columns, absent, strict=True)] for row in rows])


def _mean(column: Floats) -> float:
    there = column[~np.isnan(column)]
    return float(there.mean()) if len(there) else 0.0


def _features(student: ScreenedStudent) -> dict[str, float]:
    use = student.student["use"]
    fields: Mapping[str, Any] = {key: value for key, value in student.student.items() if key != "use"}
    found = {"log params": math.log(max(student.params, 1)), "log macs": math.log(max(student.macs, 1))}
    found |= {f"proxy {name}": _log(value) for name, value in student.proxies.items() if value is not None}
    found |= {f"{_IS}{use}": 1.0}
    return found | dict(pair for key, value in fields.items() for pair in _field(f"{use}.{key}", value))


def _field(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, (bool, str)) or value is None:
        yield f"{_IS}{name} {value}", 1.0
    elif isinstance(value, (int, float)):
        yield name, _log(value)
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from _field(f"{name}.{place}", each)


def _log(value: float) -> float:
    """Logarithm of one more than the size of a number, with its sign."""
    return math.copysign(math.log1p(abs(value)), value)
