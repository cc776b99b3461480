"""The importances are Optuna's, which computes one choice of the best at a time."""

from __future__ import annotations

import math
import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from autokd.report.sections.choices.importances import best_trials
from autokd.report.sections.choices.ped_anova import Floats, ped_anova

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(("a", "b", None, 3)),
    "flag": CategoricalDistribution((False, True)),
    "rate": FloatDistribution(1e-4, 10.0, log=True),
    "share": FloatDistribution(-1.0, 1.0),
    "coarse": FloatDistribution(0.0, 1.0, step=0.25),
    "steps": IntDistribution(2, 64, step=2),
    "few": IntDistribution(1, 9, log=True),
    "wide": IntDistribution(1, 4000, log=True),
    "always": CategoricalDistribution(("only",)),
}


def optunas(study: optuna.Study, scores: Floats, quantile: float) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a target is minimised; that some parameters are rare
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        return evaluator.evaluate(study, target=lambda trial: -float(scores[trial.number]))


@pytest.mark.parametrize(("count", "digits"), [(15, 6), (60, 6), (61, 1)])
def test_importances_are_those_of_optuna(count: int, digits: int) -> None:
    rng = np.random.default_rng(count)
    study, scores = optuna.create_study(), rng.uniform(size=count).round(digits)  # one digit: many are as good
    for number in range(count):
        has = {name: each for name, each in DISTRIBUTIONS.items() if rng.uniform() < 0.8}
        if number % 3 == 0:
            has["few"] = IntDistribution(1, 5)  # another range of the same parameter
        params = {name: _drawn(each, rng) for name, each in has.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=has, value=float(scores[number])))
    shuffled = [scores, *(rng.permutation(scores) for _ in range(4))]
    found = ped_anova(study.trials, np.stack([best_trials(each, math.ceil(0.2 * count)) for each in shuffled]))
    for choice, each in enumerate(shuffled):
        expected = optunas(study, each, 0.2)
        assert {name: values[choice] for name, values in found.items()} == pytest.approx(expected, rel=1e-9, abs=1e-15)
        assert sum(value > 0 for value in expected.values()) > 5


def _drawn(distribution: BaseDistribution, rng: np.random.Generator) -> object:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if isinstance(distribution, IntDistribution):
        step = distribution.step
        return distribution.low + step * int(rng.integers((distribution.high - distribution.low) // step + 1))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is not None:
        return distribution.low + distribution.step * int(rng.integers(5))
    return float(rng.uniform(distribution.low, distribution.high))
