"""Tune with an executor that trains nothing: the same few rates for every arm, and more of them on an edge."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autokd import catalog
from autokd.data import Dataset
from autokd.execution.executor import RungJob
from autokd.search.baselines import baseline_losses
from autokd.search.confirm.round import Round
from autokd.search.confirm.select import choose_trial
from autokd.search.confirm.tune import TunedArm, at_rate, tune_arms, tuned_fields, variant
from autokd.spec import from_plain, to_plain
from autokd.study.arms import ARM_KINDS
from autokd.study.records import RunRecord
from tests.search.stages import BUDGET, confirming, pipeline, trials

OWN = """
from dataclasses import dataclass

from autokd.declarations import Optimizer


@dataclass(frozen=True, kw_only=True)
class Own:
    declares = Optimizer(name="t_own", tunes=("lr", "inner_lr"))

    lr: float = 0.1
    inner_lr: float = 0.01
    momentum: float = 0.9

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class Rateless:
    declares = Optimizer(name="t_rateless", tunes=())

    momentum: float = 0.9

    def build(self, context): ...
"""


@pytest.fixture
def own_optimizers(tmp_path: Path) -> Iterator[None]:
    """Two optimizers without a field `learning_rate`, one of them with nothing to tune."""
    (tmp_path / "own_to_tune.py").write_text(OWN)
    catalog.load_plugins(tmp_path / "own_to_tune.py")
    yield
    del sys.modules["autokd_plugin_own_to_tune"]


def rate(job: RungJob | RunRecord) -> float:
    found: float = job.pipeline["optimizer"]["learning_rate"]
    return found


def own_rate(data: Dataset) -> float:
    found: float = trials(data)[2].pipeline["optimizer"]["learning_rate"]
    return found


def tuned(made: Round) -> dict[str, TunedArm]:
    return tune_arms(made, choose_trial(made))


def factors(arms: dict[str, TunedArm], data: Dataset) -> dict[str, list[float]]:
    """The rates that each arm was trained at, as multiples of its own."""
    return {name: [round(rate(run) / own_rate(data), 6) for _, run in arm.runs] for name, arm in arms.items()}


def is_alone(job: RungJob) -> bool:
    return set(job.pipeline["losses"]) == {"ce"}


def test_every_arm_has_the_same_three_rates_on_one_seed(digits: Dataset, tmp_path: Path) -> None:
    made = confirming(tmp_path, digits, lambda job: 0.8)
    arms = tuned(made)
    assert factors(arms, digits) == {name: [0.4, 1.0, 2.5] for name in ("pick", "alone", "kd")}
    assert [point for point, _ in arms["pick"].runs] == ["learning_rate x0.4", "", "learning_rate x2.5"]
    runs = [run for run in made.log.records.runs if run.stage == "tune"]
    assert Counter(run.arm for run in runs) == {"pick": 3, "kd": 3, "alone": 3} and len({run.seed for run in runs}) == 1


def test_each_arm_is_tuned_to_its_own_best_rate(digits: Dataset, tmp_path: Path) -> None:
    own = own_rate(digits)
    made = confirming(
        tmp_path, digits, lambda job: 0.8 + 0.01 * (rate(job) > own if is_alone(job) else rate(job) < own)
    )
    rates = {name: to_plain(arm.spec)["optimizer"]["learning_rate"] / own for name, arm in tuned(made).items()}
    assert rates == {"alone": pytest.approx(2.5), "kd": pytest.approx(0.4), "pick": pytest.approx(0.4)}


def test_matched_baselines_differ_in_their_losses_alone(digits: Dataset, tmp_path: Path) -> None:
    made = confirming(tmp_path, digits, budget=replace(BUDGET, grid=False))
    chosen = choose_trial(made)
    arms = {name: to_plain(arm.spec) for name, arm in tune_arms(made, chosen).items()}
    assert set(arms) == {"pick", "alone", "kd"} and arms["pick"] == chosen.pipeline
    assert not any(run.stage == "tune" for run in made.log.records.runs)
    for arm in ("alone", "kd"):
        assert arms[arm] == {**chosen.pipeline, "losses": baseline_losses(ARM_KINDS[arm])}


def test_a_clear_winner_on_the_edge_gives_every_arm_one_point_more_at_most_twice(
    digits: Dataset, tmp_path: Path
) -> None:
    """The student alone is the better the higher the rate, the others slightly the better the lower it is."""
    own = own_rate(digits)
    made = confirming(
        tmp_path, digits, lambda job: 0.5 + (0.02 * rate(job) / own if is_alone(job) else -0.001 * rate(job) / own)
    )
    arms = tuned(made)
    assert factors(arms, digits) == {
        "pick": [0.064, 0.16, 0.4, 1.0, 2.5],
        "kd": [0.064, 0.16, 0.4, 1.0, 2.5],
        "alone": [0.4, 1.0, 2.5, 6.25, 15.625],
    }
    assert arms["alone"].runs[-1][0] == "learning_rate x15.6"


@pytest.mark.parametrize(("items", "points"), [(0.9, 3), (1.1, 4)])
def test_an_edge_that_wins_by_less_than_the_noise_ends_the_grid(
    digits: Dataset, tmp_path: Path, items: float, points: int
) -> None:
    """Select's runs do not differ between seeds, so that the noise is taken for one validation item."""
    own, gain = own_rate(digits), items / len(digits.validation)
    made = confirming(tmp_path, digits, lambda job: 0.5 + gain * (rate(job) > 2 * own))
    assert {len(arm.runs) for arm in tuned(made).values()} == {points}


def test_the_rates_are_those_that_the_optimizer_declares(digits: Dataset, own_optimizers: None) -> None:
    own = {"use": "t_own", "lr": 0.1, "inner_lr": 0.02, "momentum": 0.9}
    spec = from_plain({**pipeline(digits), "optimizer": own})
    assert variant(spec, 1) == "lr and inner_lr x2.5" and variant(spec, 0) == ""
    assert to_plain(at_rate(spec, 1))["optimizer"] == {**own, "lr": 0.25, "inner_lr": 0.05}
    assert at_rate(spec, 0) == spec
    rateless = from_plain({**pipeline(digits), "optimizer": {"use": "t_rateless", "momentum": 0.9}})
    assert tuned_fields(rateless) == () and at_rate(rateless, 2) == rateless


@pytest.mark.parametrize(
    ("optimizer", "points"),
    [
        ({"use": "t_own", "lr": 0.1, "inner_lr": 0.02, "momentum": 0.9}, 3),
        ({"use": "t_rateless", "momentum": 0.9}, 1),
    ],
)
def test_an_optimizer_without_a_learning_rate_is_tuned_all_the_same(
    digits: Dataset, tmp_path: Path, own_optimizers: None, optimizer: dict[str, Any], points: int
) -> None:
    known = [replace(t, pipeline={**t.pipeline, "optimizer": optimizer}) for t in trials(digits)]
    made = confirming(tmp_path, digits, lambda job: 0.8, known=known)
    assert {len(arm.runs) for arm in tuned(made).values()} == {points}
