"""Two forms of a student on the same samples: the interval, and what is said of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from autokd.study.int8 import Int8, beside, int8_of, measured_int8


def right(n: int, wrong: int) -> np.ndarray:
    return np.arange(n) >= wrong


def test_the_interval_is_that_of_agresti_and_min() -> None:
    both = right(1000, 100)
    other = both.copy()
    other[:10] = True  # 10 gained
    other[500:540] = False  # 40 lost
    found = beside(both, other)
    assert (found.float_accuracy, found.accuracy, found.n) == (0.9, 0.87, 1000)
    assert found.difference == pytest.approx(-0.03)
    middle, error = -30 / 1002, np.sqrt(52 - 2 - 900 / 1002 + 1) / 1002  # 10.5 + 40.5 discordant, after half a sample
    assert (found.low, found.high) == pytest.approx((middle - 1.96 * error, middle + 1.96 * error))
    assert found.drops and found.text == "−3.0 points [−4.4, −1.6]"


def test_equal_answers_leave_room_for_what_so_few_samples_cannot_show() -> None:
    found = beside(right(50, 5), right(50, 5))
    assert found.difference == 0 and -0.05 < found.low < 0 < found.high < 0.05 and not found.drops


def int8(**changed) -> Int8:
    split = beside(right(100, 10), right(100, 10))
    plain = Int8(
        validation=split,
        test=None,
        size=9,
        float_size=20,
        latency=0.1,
        float_latency=0.2,
        calibration=64,
        method="static int8",
        runtime="onnxruntime 1",
        weights="ab",
    )
    return dataclasses.replace(plain, **changed)


def test_it_is_read_back_from_a_bundle(tmp_path) -> None:
    found = int8(test=beside(right(40, 2), right(40, 3)))
    (tmp_path / "metrics.json").write_text(json.dumps({"int8": found.to_plain()}), encoding="utf-8")
    assert measured_int8(tmp_path) == found and int8_of({"int8": int8().to_plain()}) == int8()
    assert measured_int8(tmp_path / "nowhere") is None and int8_of({}) is None and int8_of({"int8": {}}) is None


def test_a_drop_beyond_chance_is_said_and_a_smaller_one_is_not() -> None:
    assert int8().warning == "" and len(int8().told) == 2
    worse = int8(validation=beside(right(1000, 10), right(1000, 60)))
    assert worse.warning.startswith("int8 costs accuracy, by more than chance: −5.0 points [")
    assert worse.told[-1] == worse.warning
