"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "autokd.space.source",
    "autokd.space.values",
    "autokd.spec.component",
    "autokd.spec.pipeline",
    "autokd.spec.plain",
    "autokd.spec.replace",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0 and results.failed == 0
