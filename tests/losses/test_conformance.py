"""What every loss must do, run over all the losses there are, and what the shipped ones keep to beyond that."""

from __future__ import annotations

import pytest

from autokd import catalog
from autokd.losses.common import COSTS
from autokd.testing import LossSuite

NAMES = catalog.names("losses")


class TestLosses(LossSuite):
    components = tuple(catalog.load("losses", name) for name in NAMES)
    may_be_negative = frozenset({"mi_alpha", "vid"})
    magnifies = frozenset({"reviewkd"})
    draws_noise = frozenset({"diffkd"})
    partly_detached = frozenset({"communication", "uskd"})  # the target of its own message; its own answer as a target
    zero_at_teacher = frozenset({"ctkd"})
    least_elsewhere = frozenset({"camkd", "nkd", "sinkhorn", "ttm", "wttm"})


@pytest.mark.parametrize("name", NAMES)
def test_its_cost_is_one_of_the_classes(name: str) -> None:
    assert catalog.load("losses", name).declares.cost in COSTS


@pytest.mark.parametrize("name", NAMES)
def test_exclusion_is_mutual(name: str) -> None:
    for other in catalog.load("losses", name).declares.excludes:
        assert "." in other or name in catalog.load("losses", other).declares.excludes
