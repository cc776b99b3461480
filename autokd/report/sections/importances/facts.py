"""How much each parameter decided whether a trial was among the best, with its yardstick: shuffled scores."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autokd.errors import UserError
from autokd.study.fidelity import score_at
from autokd.study.intervals import LEVEL
from autokd.study.ranking import common_rung
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.space import Space
    from autokd.study.store import StudyStore

FEWEST_FOR_IMPORTANCE = 15
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

    from autokd.search.tpe.trials import optuna_study

    rung = common_rung(trials, FEWEST_FOR_IMPORTANCE)
    cut = [dataclasses.replace(t, rungs=t.rungs[: rung + 1]) for t in trials if score_at(t, rung) is not None]
    study = optuna_study(space, cut)
    shown = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(shown) < FEWEST_FOR_IMPORTANCE:
        return None
    position = {trial.number: index for index, trial in enumerate(shown)}
    quantile = max(0.1, 5 / len(shown))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)

    def evaluate(values: NDArray[np.float64]) -> dict[str, float]:
        return evaluator.evaluate(study, target=lambda trial: -float(values[position[trial.number]]))

    weights, noise = _beside_shuffles(evaluate, np.array([trial.value for trial in shown]))
    total = sum(weights.values())
    if total <= 0:
        return None
    return Importances(
        rung=rung,
        trials=len(shown),
        top=math.ceil(quantile * len(shown)),
        shares={name: weight / total for name, weight in weights.items() if weight > 0},
        noise={name: weight / total for name, weight in noise.items()},
    )


def importances_of(study: StudyStore) -> tuple[Importances | None, str]:
    """Return the importances, or None and why there are none."""
    try:
        found = importances(study.space, list(study.records.trials.values()))
    except UserError as error:
        return None, f"The search space could not be read: {error}"
    why = f"Too few trials: importances need at least {FEWEST_FOR_IMPORTANCE} comparable ones inside the space."
    return found, "" if found else why


def _beside_shuffles(
    evaluate: Callable[[NDArray[np.float64]], dict[str, float]], scores: NDArray[np.float64]
) -> tuple[dict[str, float], dict[str, float]]:
    """What an evaluation says of each parameter, and what it says of 95 % of the times the scores are shuffled."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns that a target is minimised, which is meant here
        weights = evaluate(scores)
        shuffled = [evaluate(rng.permutation(scores)) for _ in range(SHUFFLES)]
    return weights, {name: float(np.quantile([each[name] for each in shuffled], LEVEL)) for name in weights}
