"""Matched baselines: what of a pick they keep."""

from __future__ import annotations

from typing import Any

import pytest

from autokd.search.baselines import matched_baseline
from autokd.spec import make, replaced
from autokd.study.arms import ARM_KINDS
from tests.engine.helpers import pipeline

PICK = pipeline(losses={"dkd": make("losses", "dkd", {})})


@pytest.mark.parametrize("fields", [None, {"use": "all"}, {"use": "random_fraction", "share": 0.3}])
@pytest.mark.parametrize("arm", ["alone", "kd"])
def test_a_selection_without_a_teacher_stays(arm: str, fields: dict[str, Any] | None) -> None:
    chosen = None if fields is None else make("selections", fields["use"], _values(fields))
    baseline = matched_baseline(replaced(PICK, "selection", chosen), ARM_KINDS[arm])
    assert baseline.selection == chosen


def test_a_selection_that_reads_the_teacher_gives_way_to_all_where_there_is_none() -> None:
    chosen = make("selections", "difference_sampling", {"share": 0.6})
    pick = replaced(PICK, "selection", chosen)
    assert matched_baseline(pick, ARM_KINDS["kd"]).selection == chosen
    alone = matched_baseline(pick, ARM_KINDS["alone"])
    assert alone.selection == make("selections", "all", {})
    assert pick.needs_teacher and not alone.needs_teacher


def test_a_pipeline_whose_selection_alone_reads_the_teacher_needs_it() -> None:
    by_labels = pipeline(selection=make("selections", "difference_sampling", {}))
    assert by_labels.needs_teacher and not pipeline(selection=make("selections", "random_fraction", {})).needs_teacher


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != "use"}
