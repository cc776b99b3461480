"""A small real dataset."""

from __future__ import annotations

import pytest

from autokd.data import Dataset, load


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits", limit_train=128)
