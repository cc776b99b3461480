"""The noise stage: what it trains, what it estimates, and how many seeds follow from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from autokd.data import Dataset
from autokd.execution.executor import RungJob
from autokd.search.runs import Runner
from autokd.search.seed_noise import best_baseline, wanted_runs
from autokd.seeds import derive
from autokd.study.design import Design, Noise
from autokd.study.noise import detectable, estimate, plan_seeds
from autokd.study.records import RecordLog, Records, RunRecord, TrialRecord
from tests.search.executors import Instant, Score, fixed_score
from tests.search.records import trial
from tests.search.spaces import resolved
from tests.search.stages import by_hand


def trials(data: Dataset) -> list[TrialRecord]:
    kd, alone = (drawn.plain for drawn in by_hand(resolved(data)).values())
    return [
        trial(0, 0.5, 0.6, 0.80, source="recipe:alone", pipeline=alone),
        trial(1, 0.5, 0.6, 0.85, source="recipe:kd", pipeline=kd),
        trial(2, 0.5, 0.6, 0.95, pipeline=kd),
    ]


class Measuring(NamedTuple):
    """Measures the noise of a study whose baselines are trained."""

    log: RecordLog
    executor: Instant
    folder: Path

    def run(self) -> Noise | None:
        runner = Runner(log=self.log, executor=self.executor, folder=self.folder / "confirm", on_change=lambda: None)
        best = best_baseline(self.log.records)
        assert best is not None
        runner.train(wanted_runs(best, 4, 11, 3))
        return estimate(self.log.records)


def stage(folder: Path, data: Dataset, score: Score = fixed_score) -> Measuring:
    log = RecordLog(folder / "trials.jsonl")
    log.records.trials.update({t.number: t for t in trials(data)})
    return Measuring(log, Instant(data.task, score), folder)


def jobs(made: Measuring) -> list[RungJob]:
    return made.executor.jobs


def wobbling(job: RungJob) -> float:
    return 0.8 + job.seed % 5 / 100


def test_the_better_baseline_is_trained_under_three_fresh_seeds(digits: Dataset, tmp_path: Path) -> None:
    made = stage(tmp_path, digits, wobbling)
    found = made.run()
    seeds = [derive(11, "noise", i) for i in range(3)]
    assert [job.seed for job in jobs(made)] == seeds
    assert all((job.horizon, job.until, job.view_seed) == (4, 4, derive(11, "views")) for job in jobs(made))
    assert all("kd" in job.pipeline["losses"] for job in jobs(made))
    runs = made.log.records.runs
    assert {(run.stage, run.round, run.arm, run.variant) for run in runs} == {("noise", 0, "kd", "")}
    scores = [*(0.8 + seed % 5 / 100 for seed in seeds), 0.85]  # that of its trial at the top rung counts too
    assert found == (pytest.approx(np.std(scores, ddof=1)), 3, pytest.approx(np.mean(scores)))
    made.run()
    assert len(jobs(made)) == 3


def test_it_goes_on_where_it_was_killed(digits: Dataset, tmp_path: Path) -> None:
    left = [2]

    def killed(job: RungJob) -> float:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return wobbling(job)

    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path, digits, killed).run()
    again = stage(tmp_path, digits, wobbling)
    found = again.run()
    assert len(jobs(again)) == 1
    (tmp_path / "whole").mkdir()
    assert found == stage(tmp_path / "whole", digits, wobbling).run()


def test_failed_runs_and_missing_baselines_leave_no_estimate(digits: Dataset, tmp_path: Path) -> None:
    assert stage(tmp_path, digits, lambda job: None).run() is None
    assert (
        best_baseline(Records(trials={0: trial(0, 0.5), 1: trial(1, 0.9, source="recipe:kd", failure="error")})) is None
    )
    assert estimate(Records()) is None


def run(stage_name: str, arm: str, score: float, *, number: int = 0, failed: bool = False) -> RunRecord:
    return RunRecord(
        stage=stage_name,
        round=number,
        arm=arm,
        variant="",
        seed=0,
        pipeline={},
        score=score,
        loss=0.0,
        seconds=0.0,
        failure={"kind": "error", "reason": ""} if failed else None,
    )


def test_pipelines_are_pooled_by_hand() -> None:
    """0.8, 0.9: squares 0.005, 1 df. 0.5, 0.6, 0.7: 0.02, 2 df. So the variance is 0.025 / 3."""
    runs = [run("noise", "kd", s) for s in (0.8, 0.9)] + [run("select", "trial 3", s) for s in (0.5, 0.6, 0.7)]
    runs += [run("select", "trial 3", 0.1, number=1), run("tune", "kd", 0.1), run("claim", "kd", 0.0)]
    runs += [run("select", "trial 3", 0.0, failed=True)]
    found = estimate(Records(runs=runs))
    assert found is not None and found.df == 3
    assert (found.sd, found.mean) == (pytest.approx((0.025 / 3) ** 0.5), pytest.approx(0.7))
    planned = Design.of("select", 0, plan_seeds(found, arms=3, least=3), 3)
    assert Design.from_plain(json.loads(json.dumps(planned.to_plain()))) == planned and planned.noise == found


def test_what_seeds_detect_by_hand() -> None:
    """Three arms, five seeds, 12 df: t(0.975) = 2.1788, t(0.8) = 0.8726; times 0.01 sqrt(2 / 5)."""
    assert detectable(0.01, seeds=5, arms=3) == pytest.approx((2.178813 + 0.872609) * 0.01 * 0.4**0.5, rel=1e-5)
    assert detectable(0.01, seeds=1, arms=3) == float("inf")


def test_the_detectable_difference_is_detected_in_four_of_five() -> None:
    from scipy import stats

    random, gap = np.random.default_rng(0), detectable(1.0, seeds=5, arms=3)
    arms = random.normal(0, 1, (4000, 3, 5))
    pooled = arms.var(axis=2, ddof=1).mean(axis=1)
    difference = gap + arms[:, 0].mean(axis=1) - arms[:, 1].mean(axis=1)
    told = difference > stats.t.ppf(0.975, 12) * np.sqrt(2 * pooled / 5)
    assert told.mean() == pytest.approx(0.80, abs=0.025)


def test_more_noise_asks_for_more_seeds_between_the_bounds() -> None:
    seeds = [plan_seeds(Noise(sd, 2, 0.95), arms=3, least=3).seeds for sd in (0.001, 0.003, 0.0045, 0.006, 0.02)]
    assert seeds[0] == 3 and seeds[-1] == 6 and seeds == sorted(seeds) and len(set(seeds)) >= 3
    assert plan_seeds(Noise(0.02, 2, 0.95), arms=3, least=3, stretch=1).seeds == 3
    assert plan_seeds(Noise(0.02, 2, 0.95), arms=3, least=3, stretch=1).target == 0.01
    easy = plan_seeds(Noise(0.02, 2, 0.40), arms=3, least=3)  # a tenth of an error of 60 % is six points
    assert easy.target == pytest.approx(0.06) and easy.seeds == 3


def test_a_design_says_why() -> None:
    assert plan_seeds(None, arms=3, least=1).reason == "1 seed, as the budget says: the noise is not known"
    fine = plan_seeds(Noise(0.004, 2, 0.95), arms=3, least=5)
    assert fine.reason == (
        "5 seeds: seeds alone move a score by 0.4 points (standard deviation, 2 df), so 5 tell 0.8 points apart"
    )
    short = plan_seeds(Noise(0.02, 2, 0.95), arms=3, least=3)
    assert short.reason.endswith("so 6 tell 3.5 points apart; 1.0 would take more than the budget bears")
    assert plan_seeds(Noise(0.0, 2, 0.95), arms=2, least=1).seeds == 2
    assert "too few to tell anything" in plan_seeds(Noise(0.01, 2, 0.95), arms=2, least=1, stretch=1).reason
