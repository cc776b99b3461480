"""The t quantiles behind every interval and every detectable difference, against tables."""

from __future__ import annotations

import pytest

from autokd.study.intervals import detectable_errors, half_width
from autokd.study.noise import detectable


def test_quantiles_of_students_t() -> None:
    assert half_width(4) == pytest.approx(2.776445, rel=1e-6)  # t(0.975, 4)
    assert detectable_errors(12) == pytest.approx(2.178813 + 0.872609, rel=1e-6)  # t(0.975, 12) + t(0.80, 12)


def test_the_noise_and_the_claim_call_the_same_difference_detectable() -> None:
    assert detectable(0.01, seeds=5, arms=3) == pytest.approx(detectable_errors(12) * 0.01 * (2 / 5) ** 0.5)
