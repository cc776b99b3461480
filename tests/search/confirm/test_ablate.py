"""The swaps from the pick back to the recipe by hand, with an executor that trains nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from autokd.data import Dataset
from autokd.execution.executor import RungJob
from autokd.search.confirm.ablate import Ablate, ablate, swaps
from autokd.search.confirm.choose import decide
from autokd.search.confirm.claim import make_claim
from autokd.search.confirm.round import Round
from autokd.search.timing.clock import Clock
from autokd.search.work import Scope
from autokd.spec import make, replaced
from autokd.study.ablation import slot_values
from autokd.study.records import RunRecord, TrialRecord
from tests.search.stages import BUDGET, confirming, trials

ABLATING = replace(BUDGET, grid=False, ablation_seeds=2)


def known(data: Dataset) -> list[TrialRecord]:
    """The pick differs from KD by hand in batch size, losses and optimizer."""
    _, kd, found, _ = trials(data)
    pick = {**found.pipeline, "batch_size": 32, "optimizer": {**found.pipeline["optimizer"], "learning_rate": 0.02}}
    return [kd, replace(found, pipeline=pick)]


def score(job: RungJob) -> float:
    """Better by two points with three losses, by one at the pick's rate."""
    return 0.7 + 0.02 * (len(job.pipeline["losses"]) == 3) + 0.01 * (job.pipeline["optimizer"]["learning_rate"] == 0.02)


def claimed(folder: Path, data: Dataset, clock: Clock | None = None) -> Round:
    made = confirming(folder, data, score, known=known(data), budget=ABLATING)
    make_claim(made, decide(made))
    return replace(made, is_claimed=True, clock=clock or made.clock)


def swapped(made: Round) -> list[RunRecord]:
    return [run for run in made.log.records.runs if run.stage == "ablate"]


def test_each_slot_in_which_they_differ_is_swapped_on_the_seeds_of_choose(digits: Dataset, tmp_path: Path) -> None:
    made = claimed(tmp_path, digits)
    ablate(made)
    assert Counter(run.variant for run in swapped(made)) == {"losses": 2, "optimizer": 2, "batch_size": 2}
    pick = [run.seed for run in made.log.records.runs if (run.stage, run.arm) == ("choose", "pick")]
    assert [run.seed for run in swapped(made)] == pick * 3
    by_hand, own = (t.pipeline for t in known(digits))
    for run in swapped(made):
        assert run.pipeline == {**own, run.variant: by_hand[run.variant]}
    (work,) = Ablate().work(Scope(budget=ABLATING))
    assert work.most is not None and work.runs >= 6 and work.most >= work.runs
    values = slot_values(made.log.records, 0)
    assert {slot: value.difference for slot, value in values.items()} == {
        "losses": pytest.approx(0.02),
        "optimizer": pytest.approx(0.01),
        "batch_size": pytest.approx(0.0),
    }


def test_it_goes_on_where_it_was_killed_and_is_made_once(digits: Dataset, tmp_path: Path) -> None:
    made = claimed(tmp_path, digits)
    ablate(made)
    runs = len(made.log.records.runs)
    ablate(made)
    assert len(made.log.records.runs) == runs
    assert [design.stage for design in made.log.records.designs].count("ablate") == 1


def test_without_time_it_is_left_out_and_that_is_said(digits: Dataset, tmp_path: Path) -> None:
    made = claimed(tmp_path, digits, Clock(1e-3, before=0.0, began=0.0, now=lambda: 0.0))
    ablate(made)
    assert not swapped(made)
    assert made.log.records.designs[-1].reason == "left out: the time left does not bear it"


def test_a_swap_that_cannot_be_built_is_left_out_with_its_reason(digits: Dataset, tmp_path: Path) -> None:
    """The hint compares feature maps; the student of the recipe by hand has none."""
    _, kd, found, _ = trials(digits)
    hand = replaced(kd.spec, "student", make("students", "mlp", {}))
    built, refused = swaps(confirming(tmp_path, digits), found.spec, hand)
    assert list(built) == ["losses"]
    assert len(refused) == 1 and refused[0].startswith("student (loss 'hint' cannot match student features")


def test_without_seeds_in_the_budget_there_is_none() -> None:
    assert Ablate().work(Scope(budget=BUDGET)) == []
    assert Ablate().work(Scope(budget=replace(ABLATING, choose_seeds=0))) == []
