"""Small real datasets."""

from __future__ import annotations

import pytest

from autokd.data import DataOptions, Dataset, load


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits", DataOptions(limit_train=128))


@pytest.fixture(scope="session")
def cancer() -> Dataset:
    return load("breast_cancer")
