"""Whether scores without training order a study's students, and beyond what their size says: which may decide anything.

A proxy decides where its order of the trained students agrees with what these reached, once all that follows from size
is taken off both: parameters and multiply-accumulates, on a log scale and as ranks, regressed out of the ranks of both.
What is left is compared by Kendall's tau-b. The interval comes from a bootstrap over students, with the regression in
each resample; tests of several proxies are corrected after Holm (Scand. J. Statist. 6, 1979).
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.study.choice import ScreenedStudent
from autokd.study.fidelity import Tau, kendall, score_at
from autokd.study.ranking import common_rung
from autokd.study.records import Records

Floats = NDArray[np.float64]
SIZES = ("params", "macs")
"""What every proxy has to beat; they decide from the start."""
FEWEST_TRIALS = 20
"""Finished trials from which on a proxy may decide."""
FEWEST_STUDENTS = 8
"""Distinct students that they need to have."""
RELIABLE = 0.5
"""Least share of a proxy's variance over students that is not of its repeats; below it orders nothing."""
ALPHA = 0.025
"""Of the one-sided test: the lower end of a 95 % interval lies above 0."""
RESAMPLES = 300
_RIDGE = 1e-9
_NOTHING = 1e-6
"""Share of a series' spread below which what is left of it counts as rounding."""


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


class _Pair(NamedTuple):
    """A trial's score and its student as screened."""

    score: float
    student: ScreenedStudent
    key: str


def worth_of_proxies(records: Records) -> list[Worth]:
    """Return what each proxy is worth, sizes first; [] where nothing was screened.

    Trials are compared at the highest rung that `FEWEST_TRIALS` of them finished.
    """
    trials, rung = records.trials.values(), rung_of(records)
    known = {key_of(each.student): each for each in scored(records)}
    reached = ((key_of(t.pipeline["student"]), s) for t in trials if (s := score_at(t, rung)) is not None)
    pairs = [_Pair(score, known[key], key) for key, score in reached if key in known]
    names = list(dict.fromkeys([*SIZES, *(name for student in known.values() for name in student.proxies)]))
    found = [_worth(name, pairs, records) for name in names] if known else []
    return _corrected(found)


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


def beyond_size(
    x: Sequence[float] | Floats, y: Sequence[float] | Floats, sizes: Floats, groups: Sequence[Hashable]
) -> Tau | None:
    """Kendall's tau-b of what is left of two series once size is taken off, with a 95 % interval.

    Args:
      x, y: [n].
      sizes: [n, k], each above 0.
      groups: what is drawn together in the bootstrap: the student of each.
    Returns:
      None where nothing is left of a series.
    """
    series = [_ranks(x), _ranks(y)]
    design = _standard(np.column_stack([np.log(sizes), *(_ranks(column)[:, None] for column in sizes.T)]))
    index = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    drawn = np.random.default_rng(0).multinomial(len(index), [1 / len(index)] * len(index), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, len(x))), drawn[:, [index[group] for group in groups]]])
    left = [_left(design, each, weights) for each in series]
    if any(
        each[0].std() <= _NOTHING * max(float(whole.std()), 1e-12) for each, whole in zip(left, series, strict=True)
    ):
        return None
    taus = _taus(left[0], left[1], weights)
    if not math.isfinite(taus[0]):
        return None
    error = 1.96 * float(np.nanstd(taus[1:], ddof=1))
    tau = float(taus[0])
    return Tau(tau, max(-1.0, tau - error), min(1.0, tau + error), len(x))


def _worth(name: str, pairs: Sequence[_Pair], records: Records) -> Worth:
    known, lower = scored(records), records.screening.lower_is_better
    said = [value_of(pair.student, name, lower) for pair in pairs]
    judged = [(value, pair) for value, pair in zip(said, pairs, strict=True) if value is not None]
    worth = Worth(
        name=name,
        tau=None,
        beyond=None,
        p=None,
        trials=len(judged),
        students=len({pair.key for _, pair in judged}),
        reliability=reliability(known, name),
        not_finite=sum(name in student.not_finite for student in known),
        decides=name in SIZES,
        why="",
    )
    return _measured(worth, [value for value, _ in judged], [pair for _, pair in judged])


def _measured(worth: Worth, values: Sequence[float], pairs: Sequence[_Pair]) -> Worth:
    """Add the taus, given what a proxy says of the student of each trial; what is beyond size not for sizes."""
    keys, scores = [pair.key for pair in pairs], [pair.score for pair in pairs]
    if len(values) > 2:
        worth = worth._replace(tau=kendall(_ranks(values).tolist(), scores, keys))
    if worth.decides:
        return worth
    if worth.students >= FEWEST_STUDENTS:
        worth = worth._replace(beyond=beyond_size(values, scores, _sizes(pairs), keys))
    return worth._replace(p=_p(worth.beyond), why=_why_not(worth))


def _sizes(pairs: Sequence[_Pair]) -> Floats:
    """Parameters and multiply-accumulates of each trial's student, [n, 2]."""
    return np.array([[max(p.student.params, 1), max(p.student.macs, 1)] for p in pairs], dtype=float)


def _why_not(worth: Worth) -> str:
    """Why a proxy may not decide whatever its tau, or ""."""
    if worth.trials < FEWEST_TRIALS:
        return f"{worth.trials} finished trials, not {FEWEST_TRIALS}"
    if worth.students < FEWEST_STUDENTS:
        return f"{worth.students} students among them, not {FEWEST_STUDENTS}"
    if worth.reliability is not None and worth.reliability < RELIABLE:
        return "its repeats differ as much as students do"
    return "" if worth.beyond is not None else "it says nothing beyond size"


def _corrected(worths: Sequence[Worth]) -> list[Worth]:
    """Correct the tests for their number after Holm, and say which proxies decide."""
    tested = sorted((w.p, number) for number, w in enumerate(worths) if w.p is not None)
    found, largest = list(worths), 0.0
    for done, (p, number) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - done)))
        worth = worths[number]
        why = worth.why or ("" if largest < ALPHA else "what it says beyond size may be chance")
        found[number] = worth._replace(p=largest, decides=not why, why=why)
    return found


def _p(tau: Tau | None) -> float | None:
    """One-sided probability of a tau as large where there is none; by its standard error."""
    if tau is None or tau.low is None or tau.high is None:
        return None
    from scipy.special import ndtr  # slow to import

    error = max(tau.high - tau.tau, tau.tau - tau.low) / 1.96
    return float(ndtr(-tau.tau / error)) if error > 0 else float(tau.tau <= 0)


def _ranks(values: Sequence[float] | Floats) -> Floats:
    from scipy.stats import rankdata  # slow to import

    ranks: Floats = rankdata(values)
    return ranks


def _standard(columns: Floats) -> Floats:
    """Columns scaled to mean 0 and spread 1, with one of ones; a constant one becomes zeros."""
    spread = columns.std(0)
    scaled = (columns - columns.mean(0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(columns)), scaled])


def _left(design: Floats, series: Floats, weights: Floats) -> Floats:
    """What a weighted least-squares fit leaves of a series in each resample: [n, k], [n], [R, n] -> [R, n]."""
    normal = np.einsum("ni,rn,nj->rij", design, weights, design, optimize=True)
    normal += _RIDGE * len(series) * np.eye(design.shape[1])
    right = np.einsum("ni,rn,n->ri", design, weights, series, optimize=True)
    fitted = np.linalg.solve(normal, right[..., None])[..., 0] @ design.T
    left: Floats = np.round(series[None] - fitted, 9)  # trials of one student are tied
    return left


def _taus(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Tau-b of each resample, [R, n] three times -> [R]; NaN where a series is constant."""
    taus = np.full(len(x), np.nan)
    for number, (one, other, weight) in enumerate(zip(x, y, weights, strict=True)):
        there = weight > 0
        a, b = (np.sign(each[there][:, None] - each[there][None, :]) for each in (one, other))
        pairs = np.outer(weight[there], weight[there])
        untied = (np.abs(a) * pairs).sum() * (np.abs(b) * pairs).sum()
        if untied > 0:
            taus[number] = (a * b * pairs).sum() / math.sqrt(untied)
    return taus
