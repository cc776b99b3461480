"""A candidate's expected score, by hand and in simulated searches."""

from __future__ import annotations

import numpy as np
import pytest

from autokd.study.design import Noise
from autokd.study.posterior import Prior, noise_sd


def test_the_variance_of_the_trials_is_net_of_the_noise() -> None:
    assert Prior.of([0.7, 0.8, 0.9], 0.004) == Prior(0.8, 0.006, 0.004)
    assert Prior.of([0.7, 0.8, 0.9], 0.04).variance == 0.0  # they differ less than one pipeline does from seed to seed
    assert Prior.of([0.7], 0.01) == Prior(0.7, 0.0, 0.01)


def test_more_seeds_are_drawn_less_towards_the_mean() -> None:
    """With equal variances one score counts half, two count two thirds."""
    prior = Prior(0.8, 0.01, 0.01)
    assert prior.mean_of([0.9]) == pytest.approx(0.85)
    assert prior.mean_of([0.9, 0.9]) == pytest.approx(0.8 + 0.2 / 3)
    assert Prior(0.8, 0.0, 0.01).mean_of([0.9, 0.95]) == 0.8


def test_a_noise_that_is_not_known_is_bounded_by_the_items() -> None:
    assert noise_sd(None, 100) == pytest.approx(0.05)
    assert noise_sd(Noise(0.02, 2, 0.9), 100) == 0.02
    assert noise_sd(Noise(0.0, 2, 0.9), 100) == 0.01


def test_the_expected_score_of_the_best_of_many_is_not_too_high() -> None:
    """The top score of 20 trials promises too much; the posterior mean does not, and is nearer to the truth."""
    random = np.random.default_rng(0)
    flattery, bias = [], []
    for _ in range(400):
        truth = random.normal(0.8, 0.01, 20)
        seen = truth + random.normal(0, 0.01, 20)
        best = int(np.argmax(seen))
        flattery.append(seen[best] - truth[best])
        bias.append(Prior.of([float(score) for score in seen], 1e-4).mean_of([float(seen[best])]) - truth[best])
    assert np.mean(flattery) > 0.01 and abs(float(np.mean(bias))) < 0.002
