"""Fixtures shared by all tests."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from autokd.data import Dataset
    from autokd.types import Split

# Before torch: test processes with threads that spin, while they wait, starve each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
gc.set_threshold(20_000, 20, 20)  # collecting took 4 to 7 % of the tests' time


hypothesis.settings.register_profile("suite", max_examples=25, derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=1250, database=None, deadline=None, print_blob=True)
hypothesis.settings.load_profile("suite")  # the same examples in every run, so that a run repeats


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first in the share that each worker begins with: none is left alone with a long one.

    pytest-xdist gives each worker a piece of this list; who has done its own takes from the end of another's.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    ends = [len(items) * worker // workers for worker in range(workers + 1)]
    for begin, end in itertools.pairwise(ends):
        items[begin:end] = sorted(items[begin:end], key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was collected lives to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Tests that start processes fork them from this one as it is now: all is imported and no test has run."""
    processes = sys.modules.get("tests.processes")
    if processes is not None and session.items and not session.config.option.collectonly:
        processes.serve()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets beside the checkout (or `AUTOKD_TEST_DATA`); skips where it is missing."""
    path = Path(os.environ.get("AUTOKD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real datasets at {path}; set AUTOKD_TEST_DATA to a folder that holds fashion_mnist, adult, …")
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's folders: one cache a test run, shared by its tests and their fixtures."""
    base = tmp_path_factory.getbasetemp() / "autokd-cache"
    base.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", str(base))
        patch.setenv("AUTOKD_KNOWLEDGE", str(base.with_name("autokd-knowledge")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_past_studies() -> Iterator[None]:
    """Searches begin cold, whatever the shipped base holds today; tests about past studies make a base of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autokd.knowledge.places.SHIPPED", Path("no-past-studies.parquet"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Nothing that a test writes outlives the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _plain_models_are_fitted_once() -> Iterator[None]:
    """Searches on the same data share their plain models: a fit takes as long as all the rest of a tiny claim."""
    from autokd.search.confirm import read_test
    from autokd.search.confirm.plain_models import plain_logits as fit

    kept: dict[tuple[object, ...], list[tuple[str, Tensor]]] = {}

    @functools.wraps(fit)
    def once(data: Dataset, splits: dict[str, Split]) -> Iterator[tuple[str, Tensor]]:
        asked = {"train": data.train, **splits}
        key = (data.task, *((name, len(split), split.labels.numpy().tobytes()) for name, split in asked.items()))
        if key not in kept:
            kept[key] = list(fit(data, splits))
        return iter(kept[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_test, "plain_logits", once)
        yield


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """A small real dataset."""
    from autokd.data import DataOptions, load

    return load("digits", DataOptions(limit_train=128))


@pytest.fixture(scope="session")
def cancer() -> Dataset:
    """A small real table."""
    from autokd.data import load

    return load("breast_cancer")
