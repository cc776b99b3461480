"""How much each parameter decided whether a trial was among the best, with its yardstick: shuffled scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autokd.ranges import Range
from autokd.report.sections.choices.ped_anova import Floats, ped_anova
from autokd.study.fidelity import score_at
from autokd.study.intervals import LEVEL
from autokd.study.ranking import common_rung
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from autokd.study.store import StudyStore

FEWEST_FOR_IMPORTANCE = 40
SHOWN = 12
"""Parameters that are shown, the most important ones."""
TOP, FEWEST_AT_TOP = 0.1, 5
"""Of the trials that count as the best: this share, but at least so many."""
SHUFFLES = 60


@dataclass(frozen=True, kw_only=True)
class Importances:
    """How much each parameter decided whether a trial was among the best.

    Args:
      rung: at which the trials are compared, the highest that enough of them have finished.
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


def importances(ranges: Mapping[str, Range], trials: Sequence[TrialRecord]) -> Importances | None:
    """PED-ANOVA importances of a study's parameters, conditional ones included.

    A parameter that only exists in some trials is judged among those, and weighs as much as they do among the best.
    The best are the top tenth, but at least five trials.

    Returns:
      None with fewer than `FEWEST_FOR_IMPORTANCE` comparable trials, or where no parameter told anything.
    Source:
      Watanabe et al., PED-ANOVA, IJCAI 2023, arXiv 2304.10255; conditional parameters: arXiv 2601.20800.
    """
    from optuna.trial import TrialState

    from autokd.search.tpe.trials import optuna_study

    rung = common_rung(trials, FEWEST_FOR_IMPORTANCE)
    cut = [dataclasses.replace(t, rungs=t.rungs[: rung + 1]) for t in trials if score_at(t, rung) is not None]
    shown = optuna_study(ranges, cut).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(shown) < FEWEST_FOR_IMPORTANCE:
        return None
    top = math.ceil(max(TOP * len(shown), FEWEST_AT_TOP))
    weights, noise = _beside_shuffles(shown, best_trials(np.array([trial.value for trial in shown]), top))
    total = sum(weights.values())
    if total <= 0:
        return None
    return Importances(
        rung=rung,
        trials=len(shown),
        top=top,
        shares={name: weight / total for name, weight in weights.items() if weight > 0},
        noise={name: weight / total for name, weight in noise.items()},
    )


def importances_of(study: StudyStore) -> tuple[Importances | None, str]:
    """Return the importances, and what they show or why there are none; (None, "") where there are too few trials."""
    trials = list(study.records.trials.values())
    if sum(score_at(trial, 0) is not None for trial in trials) < FEWEST_FOR_IMPORTANCE:
        return None, ""
    found = importances(study.ranges, trials)
    if found is None:
        return None, "No parameter separates the best trials from the others."
    clear = [name for name, share in found.shares.items() if share > found.noise[name]]
    return (
        found,
        f"{', '.join(clear)} {'stands' if len(clear) == 1 else 'stand'} out." if clear else "Nothing stands out.",
    )


def best_trials(scores: Floats, count: int) -> NDArray[np.bool_]:
    """Return which trials have the highest scores, so many and those that are as good as the last of them: [N]."""
    among: NDArray[np.bool_] = scores >= np.sort(scores)[-count]
    return among


def _beside_shuffles(
    trials: Sequence[FrozenTrial], best: NDArray[np.bool_]
) -> tuple[dict[str, float], dict[str, float]]:
    """The importances of parameters, largest first, and what is not reached in 95 % of shuffles of the scores."""
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(best) for _ in range(SHUFFLES)]
    found = ped_anova(trials, np.stack([best, *shuffled]))
    weights = {name: float(each[0]) for name, each in sorted(found.items(), key=lambda item: -item[1][0])}
    return weights, {name: float(np.quantile(found[name][1:], LEVEL)) for name in weights}
