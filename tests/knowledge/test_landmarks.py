"""Landmarks of a dataset, with which the benchmark of likeness tells studies apart."""

import numpy as np
import pandas as pd
import pytest

from autokd import data
from benchmarks.knowledge.landmarks import landmarks


def made(rows: np.ndarray, labels: np.ndarray) -> data.Dataset:
    frame = pd.DataFrame(rows, columns=[f"x{place}" for place in range(rows.shape[1])])
    return data.load((frame, labels), data.DataOptions())


@pytest.fixture(scope="module")
def plane() -> tuple[np.ndarray, np.ndarray]:
    """Points of a plane in six dimensions, two classes apart by a line."""
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(600, 2))
    return flat @ rng.normal(size=(2, 6)), np.where(flat[:, 0] > 0, "right", "left")


def test_the_dimension_is_that_of_the_plane_and_the_classes_are_told_apart(plane):
    found = landmarks(made(*plane))
    assert 1.7 < found["dimension"] < 2.3
    assert found["linear"] > 0.95 and found["nearest_neighbour"] > 0.9
    assert found["label_noise"] < 0.01


def test_wrong_labels_are_noticed(plane):
    rows, labels = plane
    wrong = labels.copy()
    wrong[::10] = np.where(labels[::10] == "left", "right", "left")
    assert 0.05 < landmarks(made(rows, wrong))["label_noise"] < 0.12


def test_landmarks_are_the_same_every_time(plane):
    assert landmarks(made(*plane)) == landmarks(made(*plane))
