"""Small real datasets."""

from __future__ import annotations

import pytest

from autokd.data import DataOptions, Dataset, load


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """129 training images: one more than fits into batches of 32 or 64."""
    return load("digits", DataOptions(limit_train=129))


@pytest.fixture(scope="session")
def cancer() -> Dataset:
    return load("breast_cancer", DataOptions(limit_train=96))
