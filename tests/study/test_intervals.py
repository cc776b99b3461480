"""The t quantiles behind every interval and every detectable difference, against tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autokd.study.intervals import Family, detectable_errors, half_width
from autokd.study.noise import detectable


def test_quantiles_of_students_t() -> None:
    assert half_width(4) == pytest.approx(2.776445, rel=1e-6)  # t(0.975, 4)
    assert detectable_errors(12) == pytest.approx(2.178813 + 0.872609, rel=1e-6)  # t(0.975, 12) + t(0.80, 12)


def test_the_noise_and_the_claim_call_the_same_difference_detectable() -> None:
    assert detectable(0.01, seeds=5, arms=3) == pytest.approx(detectable_errors(12) * 0.01 * (2 / 5) ** 0.5)


@pytest.mark.parametrize("df", [2, 6, 40])
@pytest.mark.parametrize("arms", [3, 5])
def test_simultaneous_intervals_are_those_of_the_tables(arms: int, df: int) -> None:
    tukey = Family(arms, all_pairs=True).half_width(df)
    assert tukey == pytest.approx(stats.studentized_range.ppf(0.95, arms, df) / 2**0.5, rel=2e-4)
    dunnett = Family(arms).half_width(df)
    together = stats.multivariate_t(shape=np.full((arms - 1, arms - 1), 0.5) + 0.5 * np.eye(arms - 1), df=df)
    holds = together.cdf([dunnett] * (arms - 1), lower_limit=[-dunnett] * (arms - 1), random_state=0)
    assert holds == pytest.approx(0.95, abs=2e-4)
    assert half_width(df) < dunnett < tukey


def test_two_arms_are_one_comparison() -> None:
    assert Family(2).half_width(4.0) == Family(2, all_pairs=True).half_width(4.0) == half_width(4.0)
    assert Family(3).detectable_errors(4.0) - Family(3).half_width(4.0) == pytest.approx(stats.t.ppf(0.8, 4))
