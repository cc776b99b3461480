"""Small real datasets."""

from __future__ import annotations

import pytest

from autokd.data import Dataset, load


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """129 training images: one more than fits into batches of 32 or 64."""
    return load("digits", limit_train=129)


@pytest.fixture(scope="session")
def cancer() -> Dataset:
    return load("breast_cancer", limit_train=96)
