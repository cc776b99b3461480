"""Statistics of the report: intervals, rank correlations, importances."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.search.records import TrialRecord

if TYPE_CHECKING:
    from autokd.space import Space

LEVEL = 0.95
RESAMPLES = 1000
FEWEST_GROUPS = 5
"""Fewer distinct things than this get no bootstrap interval."""
FEWEST_FOR_IMPORTANCE = 15
SHUFFLES = 60


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


@dataclass(frozen=True, kw_only=True)
class Importances:
    """How much each parameter decided whether a trial was among the best.

    Args:
      rung: at which the trials are compared.
      trials: how many.
      top: how many of them count as the best.
      shares: parameter -> share of the total, largest first.
      noise: parameter -> 95th percentile of the same figure when the scores are shuffled.
    """

    rung: int
    trials: int
    top: int
    shares: dict[str, float]
    noise: dict[str, float]


def score_at(trial: TrialRecord, rung: int) -> float | None:
    """Validation accuracy of a trial at a rung; None where it failed or did not reach it."""
    return trial.rungs[rung].score if trial.failure is None and len(trial.rungs) > rung else None


def common_rung(trials: Sequence[TrialRecord]) -> int:
    """Return the highest rung that two thirds of the scored trials reached: trials are compared at one length only."""
    lengths = [len(trial.rungs) for trial in trials if score_at(trial, 0) is not None]
    reached = [sum(length > rung for length in lengths) for rung in range(max(lengths, default=0))]
    return max((rung for rung, number in enumerate(reached) if 3 * number >= 2 * len(lengths)), default=0)


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % t interval of a mean over seeds, inside [0, 1]; None for a single value."""
    from scipy import stats

    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    margin = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return max(0.0, mean - margin), min(1.0, mean + margin)


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


def importances(space: Space, trials: Sequence[TrialRecord]) -> Importances | None:
    """PED-ANOVA importances of a study's parameters, conditional ones included.

    A parameter that only exists in some trials is judged among those, and weighs as much as they do among the best.
    The best are the top tenth, but at least five trials.

    Returns:
      None with fewer than `FEWEST_FOR_IMPORTANCE` comparable trials, or where no parameter told anything.
    Source:
      Watanabe et al., PED-ANOVA, IJCAI 2023, arXiv 2304.10255; conditional parameters: arXiv 2601.20800; by Optuna.
    """
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.trial import TrialState

    from autokd.search.sampler import optuna_study

    rung = common_rung(trials)
    cut = [dataclasses.replace(t, rungs=t.rungs[: rung + 1]) for t in trials if score_at(t, rung) is not None]
    study = optuna_study(space, cut)
    shown = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(shown) < FEWEST_FOR_IMPORTANCE:
        return None
    scores = np.array([trial.value for trial in shown])
    position = {trial.number: index for index, trial in enumerate(shown)}
    quantile = max(0.1, 5 / len(shown))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)

    def evaluate(values: NDArray[np.float64]) -> dict[str, float]:
        return evaluator.evaluate(study, target=lambda trial: -float(values[position[trial.number]]))

    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns that a target is minimised, which is meant here
        found = evaluate(scores)
        shuffled = [evaluate(rng.permutation(scores)) for _ in range(SHUFFLES)]
    total = sum(found.values())
    if total <= 0:
        return None
    return Importances(
        rung=rung,
        trials=len(shown),
        top=math.ceil(quantile * len(shown)),
        shares={name: share / total for name, share in found.items() if share > 0},
        noise={name: float(np.quantile([s[name] for s in shuffled], LEVEL)) / total for name in found},
    )


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
