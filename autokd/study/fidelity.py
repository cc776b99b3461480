"""Does short predict long? Rank correlations between a study's rungs, and between its last rung and select.

Only trials that were promoted reach a higher rung, and only finalists reach select. They are the better ones and differ
less than all trials would, which lowers a rank correlation: what is found here is a cautious figure for how well a
rung chooses among those that go on, and says nothing about those that it stopped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.study.design import Noise
from autokd.study.intervals import LEVEL
from autokd.study.noise import estimate
from autokd.study.records import Records, RunRecord, TrialRecord

RESAMPLES = 1000
FEWEST_GROUPS = 5
"""Fewer distinct things than this get no bootstrap interval."""
FEWEST = 8
"""Fewer trials than this say nothing about a rung."""
SOME, GOOD = 0.3, 0.6
"""Above the first a rung's order is of use, below the second it is not to be relied on."""


class Tau(NamedTuple):
    """Kendall's tau-b with a percentile bootstrap interval.

    Args:
      tau: in [-1, 1].
      low, high: 95 % interval, or None where there are too few distinct things.
      n: pairs of values.
    """

    tau: float
    low: float | None
    high: float | None
    n: int


class Agreement(NamedTuple):
    """How well scores after a short training order trials like those after a longer one.

    Args:
      shorter: epochs.
      longer: epochs; None for the mean over seeds in select.
      tau: Kendall's tau-b, or None where it is not defined.
      n: trials that have both scores.
      verdict: "strong" (the interval lies above `SOME`), "weak" (it lies below `GOOD`), "moderate" (both) or "unknown".
      why: of "unknown", in words; "" otherwise.
    """

    shorter: int
    longer: int | None
    tau: Tau | None
    n: int
    verdict: str
    why: str


def short_predicts_long(records: Records) -> list[Agreement]:
    """Return the agreement of every two rungs that trials share, and of the last rung with select."""
    trials = [trial for trial in records.trials.values() if trial.failure is None and trial.rungs]
    epochs = {rung.rung: rung.epochs for trial in trials for rung in trial.rungs}
    noise, found = estimate(records), []
    for short, long in itertools.combinations(sorted(epochs), 2):
        pairs = [(t.rungs[short].score, t.rungs[long].score) for t in trials if len(t.rungs) > long]
        found.append(_agreement(epochs[short], epochs[long], pairs, noise))
    last = max(epochs, default=0)
    pairs = _pairs_with_select(trials, last, _selected(records.runs))
    return [*found, _agreement(epochs[last], None, pairs, noise)] if pairs else found


def _pairs_with_select(
    trials: Sequence[TrialRecord], rung: int, selected: Mapping[int, float]
) -> list[tuple[float, float]]:
    """Score at a rung and mean in select, of the trials that have both."""
    scores = ((trial.number, score_at(trial, rung)) for trial in trials if trial.number in selected)
    return [(score, selected[number]) for number, score in scores if score is not None]


def too_short(records: Records) -> str:
    """Return what to tell people where a study's rungs say little about longer trainings; "" where they do not."""
    weak = [found for found in short_predicts_long(records) if found.verdict == "weak" and found.tau is not None]
    if not weak:
        return ""
    worst = max(weak, key=lambda found: found.n)
    long = "full-length results over seeds" if worst.longer is None else f"those after {worst.longer}"
    return (
        f"the budget was too short: scores after {worst.shorter} epoch{'s' * (worst.shorter != 1)} say little about "
        f"{long} (tau {interval(worst.tau)}, n = {worst.n}); use more epochs"
    )


def interval(tau: Tau | None) -> str:
    """A correlation in words: "0.10 [−0.40, 0.50]"."""
    if tau is None:
        return "–"
    bounds = "" if tau.low is None or tau.high is None else f" [{tau.low:.2f}, {tau.high:.2f}]"
    return f"{tau.tau:.2f}{bounds}".replace("-", "−")


def score_at(trial: TrialRecord, rung: int) -> float | None:
    """Validation score of a trial at a rung; None where it failed or did not reach it."""
    return trial.rungs[rung].score if trial.failure is None and len(trial.rungs) > rung else None


def kendall(x: Sequence[float], y: Sequence[float], groups: Sequence[Hashable] | None = None) -> Tau | None:
    """Kendall's tau-b of two series, with a bootstrap interval.

    Args:
      x, y: of equal length.
      groups: what is drawn together in the bootstrap (the trials of one student); by default each for itself.
    Returns:
      None with fewer than three pairs, or where one series is constant.
    """
    signs_x, signs_y = _signs(x), _signs(y)
    ones = np.ones((1, len(x)))
    tau = _weighted_tau(signs_x, signs_y, ones)[0]
    if len(x) < 3 or not math.isfinite(tau):
        return None
    number, member = _number(groups if groups is not None else range(len(x)))
    if number < FEWEST_GROUPS:
        return Tau(float(tau), None, None, len(x))
    drawn = np.random.default_rng(0).multinomial(number, [1 / number] * number, size=RESAMPLES)
    taus = _weighted_tau(signs_x, signs_y, drawn[:, member].astype(float))
    low, high = np.nanquantile(taus, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Tau(float(tau), float(low), float(high), len(x))


def _agreement(
    shorter: int, longer: int | None, pairs: Sequence[tuple[float, float]], noise: Noise | None
) -> Agreement:
    tau = kendall(*zip(*pairs, strict=True)) if len(pairs) > 2 else None
    verdict, why = _verdict(tau, [long for _, long in pairs], noise)
    return Agreement(shorter, longer, tau, len(pairs), verdict, why)


def _verdict(tau: Tau | None, longer: Sequence[float], noise: Noise | None) -> tuple[str, str]:
    """What an agreement is called, and why where nothing can be said."""
    if tau is None or tau.low is None or tau.high is None or tau.n < FEWEST:
        return "unknown", f"only {len(longer)} trial{'' if len(longer) == 1 else 's'}"
    if tau.low > SOME:
        return ("strong" if tau.high >= GOOD else "moderate"), ""
    if tau.high >= GOOD:
        return "unknown", f"{tau.n} trials leave it open"
    return ("unknown", "these trials differ hardly more than seeds do") if _is_noise(longer, noise) else ("weak", "")


def _is_noise(scores: Sequence[float], noise: Noise | None) -> bool:
    """Whether scores differ hardly more than seeds alone make them."""
    return noise is not None and bool(np.var(scores, ddof=1) < 2 * noise.sd**2)


def _selected(runs: Sequence[RunRecord]) -> dict[int, float]:
    """Mean score of each trial in select, over the seeds that all finalists of its round have, in its latest round."""
    found: dict[int, float] = {}
    for number in sorted({run.round for run in runs if run.stage == "select"}):
        scores: dict[str, list[float]] = {}
        for run in runs:
            if (run.stage, run.round) == ("select", number) and run.failure is None:
                scores.setdefault(run.arm, []).append(run.score)
        shared = min(map(len, scores.values()), default=0)
        found |= {int(arm.split()[1]): float(np.mean(row[:shared])) for arm, row in scores.items()}
    return found


def _signs(values: Sequence[float]) -> NDArray[np.float64]:
    """Sign of every pairwise difference, [n, n]."""
    array = np.asarray(values, dtype=float)
    signs: NDArray[np.float64] = np.sign(array[:, None] - array[None, :])
    return signs


def _weighted_tau(
    signs_x: NDArray[np.float64], signs_y: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tau-b of resamples given as how often each item was drawn, [R, n] -> [R]; NaN where a series is constant."""

    def pairs(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = ((weights @ matrix) * weights).sum(axis=1)
        return total

    untied = pairs(np.abs(signs_x)) * pairs(np.abs(signs_y))
    agreement = pairs(signs_x * signs_y)
    tau = np.full_like(agreement, np.nan)
    np.divide(agreement, np.sqrt(untied), out=tau, where=untied > 0)
    return tau


def _number(groups: Sequence[Hashable]) -> tuple[int, list[int]]:
    """How many distinct groups there are, and each item's group as an index."""
    index = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return len(index), [index[group] for group in groups]
