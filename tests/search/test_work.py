"""What the default teacher takes: its networks by their epochs, its trees by the rows."""

from __future__ import annotations

import pytest

from autokd.data import DataOptions, load
from autokd.engine.rung import run_samples
from autokd.modalities._table import MEMBERS
from autokd.search.timing.measure import Probe, measure_costs
from autokd.search.work import Costs
from autokd.space import find, parse
from autokd.teaching.recipe import Effort
from autokd.types import Shapes
from tests.search.spaces import CPU


def test_a_teacher_takes_its_networks_and_its_trees() -> None:
    costs = Costs(train=1.0, answer=1.0, teacher=2.0, networks=5, trees=0.5)
    assert costs.teacher_seconds(3, 100, 20) == pytest.approx(5 * 2.0 * run_samples(3, 3, 100, 20) + 0.5 * 100)
    assert Costs(train=1.0, answer=1.0).teacher_seconds(3, 100, 20) == 0


def test_what_the_trees_of_a_table_take_is_measured() -> None:
    data = load("breast_cancer", DataOptions(limit_train=96))
    space = parse(*find("tabular")).resolve(data.task, Shapes())
    probe = Probe(data=data, space=space, teacher=None, offers=Shapes(), device=CPU, threads=1, effort=Effort(60))
    costs = measure_costs(probe)
    assert costs.networks == MEMBERS and costs.compared == 0
    assert costs.trees > 0 and costs.answer > 0 and costs.teacher > 0
