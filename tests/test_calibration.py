"""Calibration against figures worked out by hand, and against what made the logits."""

from __future__ import annotations

import numpy as np
import pytest

from autokd.calibration import calibration_error, fit_temperature, reliability, softmax


def drawn(temperature: float, items: int = 4000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that softmax(logits / temperature) gives."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((items, classes))
    probabilities = softmax(logits / temperature)
    labels = (probabilities.cumsum(-1) < rng.random((items, 1))).sum(-1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)
    mended = calibration_error(softmax(logits / fit_temperature(logits, labels)), labels)
    assert mended < 0.02
    if temperature != 1.0:
        assert mended < calibration_error(softmax(logits), labels) / 4


def test_the_calibration_error_of_a_case_by_hand() -> None:
    # two items at 0.75, one right: off by 0.25; two at 0.55, both right: off by 0.45; half of the items each
    probabilities = np.array([[0.75, 0.25], [0.75, 0.25], [0.45, 0.55], [0.45, 0.55]])
    labels = np.array([0, 1, 1, 1])
    assert calibration_error(probabilities, labels, bins=10) == pytest.approx(0.5 * 0.25 + 0.5 * 0.45)
    filled = [each for each in reliability(probabilities, labels, bins=10) if each.items]
    assert [(round(b.low, 1), b.items, b.confidence, b.accuracy) for b in filled] == [
        (0.5, 2, pytest.approx(0.55), 1.0),
        (0.7, 2, pytest.approx(0.75), 0.5),
    ]


def test_items_that_are_all_right_do_not_make_probabilities_certain() -> None:
    logits = np.tile(np.array([2.0, 0.0, 0.0]), (50, 1))
    certain = softmax(logits / fit_temperature(logits, np.zeros(50, dtype=int)))
    assert 1 - certain[0, 0] == pytest.approx(1 / 52, rel=0.02)  # as one wrong item more says


def test_one_class_or_no_item_leave_the_logits_alone() -> None:
    assert fit_temperature(np.zeros((3, 1)), np.zeros(3, dtype=int)) == 1.0
    assert fit_temperature(np.zeros((0, 4)), np.zeros(0, dtype=int)) == 1.0
