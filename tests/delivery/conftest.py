"""A trained bundle of each kind of input."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autokd.data import Dataset
from tests.delivery.helpers import Trained, pipeline_for, run


@pytest.fixture(scope="session")
def bundles(digits: Dataset, cancer: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """By kind of input: a bundle trained without interruption. Tests must not change it."""
    made: dict[str, Trained] = {}

    def bundle(kind: str) -> Trained:
        if kind not in made:
            data = {"image": digits, "table": cancer}[kind]
            directory, file = tmp_path_factory.mktemp("bundle") / kind, pipeline_for(data)
            made[kind] = Trained(directory, data, file, run(file, directory, data))
        return made[kind]

    return bundle
