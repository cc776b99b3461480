"""Intervals over test items and seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autokd.study.resampling import error_interval, mean_interval


def test_the_interval_of_a_share_is_as_wide_as_its_items_make_it() -> None:
    right = np.arange(400)[None] % 5 != 0  # 80 % of the items, by one student
    low, high = mean_interval(right)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.25 * half)


def test_seeds_that_differ_make_it_wider() -> None:
    alike = np.tile(np.arange(400) % 2 == 0, (4, 1))
    apart = np.repeat([[True], [True], [False], [False]], 400, axis=1)
    (low, high), (least, most) = mean_interval(alike), mean_interval(apart)
    assert high - low < 0.12 and most - least > 0.7


def test_an_error_is_inside_its_interval_and_none_is_none() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((3, 300)) < 0.7
    bins = np.full(300, 9)
    low, high = error_interval([(bins, 0.9 - row) for row in right], 15)
    assert low < 0.9 - right.mean() < high and high - low < 0.12
    assert error_interval([(bins, np.zeros(300))], 15) == (0.0, 0.0)
