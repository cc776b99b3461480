"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from autokd.data import Dataset

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: test processes with spinning threads starve each other


hypothesis.settings.register_profile("suite", max_examples=25, derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=1250, database=None, deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")  # the same examples in every run, so that a run repeats


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets beside the checkout (or `AUTOKD_TEST_DATA`); skips where it is missing."""
    path = Path(os.environ.get("AUTOKD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real datasets at {path}; set AUTOKD_TEST_DATA to a folder that holds fashion_mnist, adult, …")
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's cache: one cache folder a test run, shared by its tests and their fixtures."""
    base = tmp_path_factory.getbasetemp() / "autokd-cache"
    base.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", str(base))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Nothing that a test writes outlives the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """A small real dataset."""
    from autokd.data import DataOptions, load

    return load("digits", DataOptions(limit_train=128))
