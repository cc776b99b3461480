"""Confirm with an executor that trains nothing: which runs are made, on which seeds, and what is claimed from them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.views import to_device
from autokd.errors import NothingFeasible, SpaceError
from autokd.execution.executor import Outcome, RungJob
from autokd.networks.models import seeded
from autokd.search.baselines import baseline_losses
from autokd.search.confirm.choose import Choose, decide
from autokd.search.confirm.claim import MakeClaim, make_claim
from autokd.search.confirm.round import Round
from autokd.search.confirm.select import Select, choose_trial
from autokd.search.confirm.tune import Tune, tune_arms
from autokd.search.timing.clock import Clock
from autokd.search.work import Scope, run_total
from autokd.seeds import derive
from autokd.space import parse
from autokd.spec import component_from_plain, component_to_plain, fingerprint, make
from autokd.study import comparison
from autokd.study.arms import ARM_KINDS
from autokd.study.choice import Candidate
from autokd.study.claim import Arm, Claim
from autokd.study.records import RunRecord, TrialRecord
from autokd.types import Split
from tests.search.executors import Instant, fixed_score
from tests.search.records import trial
from tests.search.spaces import SPACE
from tests.search.stages import BUDGET, FOUND, confirming, pipeline, trials


class Counted(Dataset):
    """A dataset that counts how often its test split is read."""

    def read_test(self) -> Split:
        reads: list[int] = self.card["reads"]
        reads.append(1)
        return super().read_test()


@pytest.fixture
def data(digits: Dataset) -> Counted:
    values = {field.name: getattr(digits, field.name) for field in dataclasses.fields(digits)}
    return Counted(**{**values, "card": {**digits.card, "reads": []}})


def confirm(made: Round) -> Claim:
    """Select, tune, choose and claim, as the stages do one after the other."""
    return make_claim(made, decide(made))


def arm_of(claim: Claim, name: str) -> Arm:
    arm = claim.arm(name)
    assert arm is not None
    return arm


def jobs(made: Round) -> list[RungJob]:
    assert isinstance(made.executor, Instant)
    return made.executor.jobs


def runs(made: Round, stage: str) -> list[RunRecord]:
    return [run for run in made.log.records.runs if run.stage == stage]


BUDGETS: Mapping[str, dict[str, Any]] = {
    "fresh seeds": {},
    "same seeds": {"fresh_claim": False},
    "the top rung": {"choose_seeds": 0},
    "no claim": {"choose_seeds": 0, "claim_seeds": 0},
}
MADE = {
    ("fresh seeds", True): {"select": 4, "tune": 9, "choose": 8, "claim": 12},
    ("fresh seeds", False): {"select": 4, "tune": 6, "choose": 6, "claim": 6},
    ("same seeds", True): {"select": 4, "tune": 9, "choose": 10},
    ("same seeds", False): {"select": 4, "tune": 6, "choose": 6},
    ("the top rung", True): {"claim": 6},
    ("the top rung", False): {"claim": 6},
    ("no claim", True): {"claim": 1},
    ("no claim", False): {"claim": 1},
}
"""Runs by stage, where no two arms are the same and no grid goes on."""


def rising(job: RungJob) -> float:
    """A score by the losses alone: the more there are the better."""
    return 0.7 + 0.01 * len(job.pipeline["losses"])


def apart(known: list[TrialRecord]) -> list[TrialRecord]:
    """Trials of which those that are recipes have another batch size, so that they are no matched baselines."""
    return [replace(t, pipeline={**t.pipeline, "batch_size": 32}) if t.recipe else t for t in known]


def with_recipe(data: Dataset) -> list[TrialRecord]:
    """Trials with KD, DIST and the student alone by hand, of which DIST is the best."""
    known = trials(data)
    known[0] = replace(known[0], rungs=trial(0, 0.5, 0.5, 0.55).rungs)
    dist = pipeline(data, dist=component_to_plain(make("losses", "dist", {})))
    return apart([*known, replace(trial(4, 0.5, 0.6, 0.85, source="recipe:dist", pipeline=dist), cost=known[0].cost)])


@pytest.mark.parametrize("with_teacher", [True, False])
@pytest.mark.parametrize("path", BUDGETS)
def test_the_number_of_runs_announced_is_the_number_made(
    data: Counted, tmp_path: Path, path: str, with_teacher: bool
) -> None:
    budget, known = dataclasses.replace(BUDGET, **BUDGETS[path]), with_recipe(data)
    made = confirming(tmp_path, data, rising, known=known, with_teacher=with_teacher, budget=budget)
    claim = confirm(made)
    scope = Scope(budget=budget, has_teacher=with_teacher)
    foreseen = [work for stage in (Select(), Tune(), Choose(), MakeClaim()) for work in stage.work(scope)]
    announced = {work.stage: work.runs for work in foreseen if work.runs}
    stages = Counter(run.stage for run in made.log.records.runs)
    assert announced == MADE[path, with_teacher] == stages and len(jobs(made)) == sum(announced.values())
    predicted = sum(len(arm.test) for arm in claim.arms)
    assert predicted == sum(work.predictions for work in foreseen)
    assert run_total(foreseen) >= sum(announced.values())
    assert all((job.horizon, job.until, job.load, job.save) == (2, 2, None, None) for job in jobs(made))


def test_the_student_alone_is_no_finalist_and_no_pipeline_is_one_twice(data: Counted, tmp_path: Path) -> None:
    known = trials(data)
    twin = dataclasses.replace(known[2], number=4)
    made = confirming(tmp_path, data, known=[*known, twin])
    choose_trial(made)
    assert [run.arm for run in runs(made, "select")] == ["trial 2", "trial 2", "trial 3", "trial 3"]


def test_where_nothing_else_finished_the_student_alone_is_confirmed(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, known=trials(data)[:1], with_teacher=False)
    claim = confirm(made)
    assert claim.trial == 0 and len(runs(made, "claim")) == 3


def test_a_clearly_better_finalist_is_chosen_and_the_other_stops(data: Counted, tmp_path: Path) -> None:
    def third_is_better(job: RungJob) -> float:
        return 0.9 if "hint" not in job.pipeline["losses"] else 0.8

    made = confirming(tmp_path, data, third_is_better, budget=dataclasses.replace(BUDGET, select_seeds=5))
    assert choose_trial(made).number == 3
    choice = made.log.records.choices[0]
    assert (choice.trial, choice.round, choice.most_seeds, choice.trials) == (3, 0, 5, 4)
    assert choice.reason == (
        "best mean validation score of 2 finalists over 2 seeds, 90.0 %; clearly worse and stopped: trial 2 after 2"
    )
    shared: dict[str, Any] = {"params": 2956, "macs": 1}
    assert choice.candidates == (
        Candidate(trial=2, scores=[0.8, 0.8], mean=0.8, dropped_after=2, tied=False, losses=3, **shared),
        Candidate(trial=3, scores=[0.9, 0.9], mean=0.9, dropped_after=None, tied=True, losses=2, **shared),
    )
    assert len(jobs(made)) == 4


def test_among_tied_finalists_the_simpler_one_is_chosen(data: Counted, tmp_path: Path) -> None:
    """One tenth of a point is less than a validation item, however alike the seeds."""
    made = confirming(tmp_path, data, lambda job: 0.7 + job.seed % 9 / 900 + 0.001 * ("hint" in job.pipeline["losses"]))
    assert choose_trial(made).number == 3
    choice = made.log.records.choices[0]
    assert choice.reason == (
        "tied with trial 2 (0.1 points behind over 2 seeds) and simpler: 2 loss terms instead of 3"
    )
    assert [row.tied for row in choice.candidates] == [True, True]


def wobbling(job: RungJob) -> float:
    """A score that depends on seed and pipeline by up to 0.02."""
    return 0.7 + 0.02 * (derive(job.seed, fingerprint(dict(job.pipeline))) % 1000) / 1000


def measured(made: Round, scores: list[float]) -> Round:
    """The same confirmer on a study that has measured its noise."""
    for seed, score in enumerate(scores):
        run = {"stage": "noise", "round": 0, "arm": "kd", "variant": "", "seed": seed, "pipeline": {"noise": 1}}
        made.log.append("run", **run, score=score, loss=1.0, seconds=1.0, failure=None)
    return made


def test_a_noisy_study_takes_more_seeds_and_says_so_before_it_runs_them(data: Counted, tmp_path: Path) -> None:
    made = measured(confirming(tmp_path, data, wobbling), [0.70, 0.80, 0.90])
    claim = confirm(made)
    assert len(claim.used.seeds) == 6 and len(runs(made, "claim")) == 18  # twice the budget's three
    assert len({run.seed for run in runs(made, "select")}) == 4
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    marks = [(line["event"], line.get("stage")) for line in lines]
    assert marks.index(("design", "select")) < marks.index(("run", "select"))
    assert marks.index(("run", "tune")) < marks.index(("design", "claim")) < marks.index(("run", "claim"))
    designs = [line for line in lines if line["event"] == "design"]
    assert [d["seeds"] for d in designs] == [4, 6] and all(d["round"] == 0 for d in designs)
    assert designs[0]["noise"] == {"sd": pytest.approx(0.1), "df": 2, "mean": pytest.approx(0.8)}
    assert designs[1]["noise"]["df"] == 2 + 6  # select's two finalists, four seeds each


def test_a_quiet_study_keeps_to_the_budget(data: Counted, tmp_path: Path) -> None:
    made = measured(confirming(tmp_path, data, lambda job: 0.8), [0.800, 0.801, 0.802])
    assert len(confirm(made).used.seeds) == 3


class Together(Instant):
    """Runs all that was submitted before the first is collected, the latest first."""

    capacity = 8

    def __init__(self, made: Instant) -> None:
        super().__init__(made.task, made.score)
        self._done: list[Outcome] = []

    def collect(self) -> Outcome:
        if not self._done:
            self._waiting.reverse()
            self._done = [super(Together, self).collect() for _ in range(len(self._waiting))]
        return self._done.pop()


def test_the_evidence_does_not_depend_on_how_many_runs_go_on_at_a_time(data: Counted, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one = measured(confirming(tmp_path / "one", data, wobbling), [0.80, 0.81, 0.82])
    many = measured(confirming(tmp_path / "many", data, wobbling), [0.80, 0.81, 0.82])
    assert isinstance(many.executor, Instant)
    many = dataclasses.replace(many, executor=Together(many.executor))
    assert confirm(one) == confirm(many)
    assert one.log.records.runs == many.log.records.runs and one.log.records.choices == many.log.records.choices
    assert [job.seed for job in jobs(one)] != [job.seed for job in jobs(many)]


def test_a_choice_made_before_further_trials_is_made_anew(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, wobbling)
    choose_trial(made)
    better = trial(9, 0.5, 0.6, 0.99, pipeline=pipeline(data, kd={**FOUND["kd"], "temperature": 2.0}))
    made.log.records.trials[9] = dataclasses.replace(better, cost={"params": 10, "macs": 1})
    choose_trial(made)
    assert [[row.trial for row in c.candidates] for c in made.log.records.choices] == [[2, 3], [9, 2]]
    assert choose_trial(made).number == made.log.records.choices[-1].trial and len(made.log.records.choices) == 2


def test_a_finalist_whose_runs_fail_is_not_chosen(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, lambda job: None if "hint" in job.pipeline["losses"] else 0.3)
    assert choose_trial(made).number == 3


def test_matched_baselines_differ_in_their_losses_alone(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data)
    chosen = choose_trial(made)
    tune_arms(made, chosen)
    untuned = {run.arm: run.pipeline for run in runs(made, "tune") if run.variant == ""}
    assert set(untuned) == {"pick", "alone", "kd"} and untuned["pick"] == chosen.pipeline
    for arm in ("alone", "kd"):
        rest = {key: value for key, value in untuned[arm].items() if key != "losses"}
        assert rest == {key: value for key, value in chosen.pipeline.items() if key != "losses"}
        assert untuned[arm]["losses"] == baseline_losses(ARM_KINDS[arm])
    variants = Counter(run.arm for run in runs(made, "tune"))
    assert variants == {"pick": 6, "kd": 6, "alone": 4}
    assert len({run.seed for run in runs(made, "tune")}) == 1


def test_each_arm_is_claimed_with_the_point_that_was_best_on_validation(data: Counted, tmp_path: Path) -> None:
    def score(job: RungJob) -> float:
        wants_more = "kd" not in job.pipeline["losses"]
        return 0.9 if is_tuned(job) == wants_more else 0.5

    made = confirming(tmp_path, data, score)
    confirm(made)
    claimed = {run.arm: run for run in runs(made, "claim")}
    assert is_tuned(claimed["alone"]) and not is_tuned(claimed["kd"]) and not is_tuned(claimed["pick"])


def test_claims_are_made_on_fresh_seeds_that_all_arms_share(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data)
    claim = confirm(made)
    seeds = {stage: [run.seed for run in runs(made, stage)] for stage in ("select", "tune", "claim")}
    assert set(seeds["claim"]).isdisjoint({*seeds["select"], *seeds["tune"]}) and len(set(seeds["claim"])) == 3
    assert set(seeds["claim"]).isdisjoint(derive(11, "trial", number) for number in range(100))
    by_arm = {arm: [run.seed for run in runs(made, "claim") if run.arm == arm] for arm in ("pick", "alone", "kd")}
    assert by_arm["pick"] == by_arm["alone"] == by_arm["kd"] == claim.used.seeds
    views = {job.seed: job.view_seed for job in jobs(made) if job.seed in seeds["claim"]}
    assert len(set(views.values())) == 3 and derive(11, "views") not in views.values()
    again = confirm(made)  # a second claim
    assert set(again.used.seeds).isdisjoint({*claim.used.seeds, *seeds["select"], *seeds["tune"]})
    assert again.round == 1


def test_the_comparator_is_named_on_validation_before_test_is_read(data: Counted, tmp_path: Path) -> None:
    def score(job: RungJob) -> float:
        assert data.card["reads"] == []
        return {1: 0.5, 2: 0.9}.get(len(job.pipeline["losses"]), 0.95)  # KD is the better baseline on validation

    made = confirming(tmp_path, data, score)
    claim = confirm(made)
    assert claim.comparator == "kd"
    assert arm_of(claim, "kd").validation == [0.9] * 3 and arm_of(claim, "alone").validation == [0.5] * 3
    (tmp_path / "turned").mkdir()
    turned = confirming(tmp_path / "turned", data, lambda job: 1 - 0.3 * len(job.pipeline["losses"]))
    assert confirm(turned).comparator == "alone"


def test_the_test_split_is_read_once_a_claim_and_each_reading_is_noted(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data)
    tune_arms(made, choose_trial(made))
    assert data.card["reads"] == [] and not (tmp_path / "test_reads.jsonl").exists()
    confirm(made)
    confirm(made)
    reads = [json.loads(line) for line in (tmp_path / "test_reads.jsonl").read_text().splitlines()]
    assert [(read["round"], read["why"]) for read in reads] == [(0, "claim"), (1, "claim")]
    assert len(data.card["reads"]) == 2


def test_the_evidence_is_that_of_the_students_that_were_kept(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data)
    claim = confirm(made)
    test = to_device(data.read_test(), data.task, torch.device("cpu"))
    component = component_from_plain("students", claim.used.pipeline["student"])
    kept = load_file(tmp_path / "confirm" / "round0.safetensors")
    correct: dict[str, list[Any]] = {arm.name: [] for arm in claim.arms}
    for arm in correct:
        for i in range(3):
            with seeded(0):
                student = build_student(component, data.task)
            student.load_state_dict(load_file(tmp_path / "confirm" / "round0" / f"{arm}-{i}.safetensors"))
            logits = predict(student, test)
            assert torch.equal(kept[f"{arm}/{i}/test"], logits.half())
            correct[arm].append((logits.argmax(1) == test.labels).numpy())
            right = (logits.argmax(1) == test.labels).double().mean()
            assert arm_of(claim, arm).test[i] == pytest.approx(float(right))
            assert kept[f"{arm}/{i}/validation"].shape == (len(data.validation), 10)
    assert claim.n_test == len(test.labels) == 359 and torch.equal(kept["labels/test"], test.labels)
    assert torch.equal(kept["labels/validation"], data.validation.labels)
    assert made.context.teacher is not None and claim.teacher is not None
    teacher = (predict_teacher(made.context.teacher, test).argmax(1) == test.labels).double().mean()
    assert claim.teacher.test == pytest.approx(float(teacher))
    stacked = {arm: np.stack(rows) for arm, rows in correct.items()}
    for arm in ("alone", "kd"):
        assert claim.comparisons[arm] == comparison.compare(stacked, "pick", arm)
    low, high = comparison.prediction_interval(arm_of(claim, "pick").test, claim.n_test)
    assert claim.prediction_interval == (low, high)
    assert claim.used.cost["params"] == sum(p.numel() for p in student.parameters())
    assert claim.trials == 4 and claim.epochs == 2


def test_without_a_teacher_nothing_is_said_of_one(data: Counted, tmp_path: Path) -> None:
    claim = confirm(confirming(tmp_path, data, with_teacher=False))
    assert claim.teacher is None and claim.gap_closed is None
    assert {arm.name for arm in claim.arms} == {"pick", "alone"} and claim.comparator == "alone"


def test_a_run_that_fails_counts_as_wrong(data: Counted, tmp_path: Path) -> None:
    failing = derive(11, "claim", 0, 1)

    def score(job: RungJob) -> float | None:
        return None if job.seed == failing and "hint" in job.pipeline["losses"] else fixed_score(job)

    made = confirming(tmp_path, data, score, known=[trials(data)[2]])
    claim = confirm(made)
    assert arm_of(claim, "pick").test[1] == 0.0 and arm_of(claim, "pick").validation[1] == 0.0
    assert arm_of(claim, "alone").test[1] > 0 and arm_of(claim, "pick").test[0] > 0
    failed = [run for run in runs(made, "claim") if run.failure]
    assert [(run.arm, run.seed, run.score) for run in failed] == [("pick", failing, 0.0)]
    assert failed[0].failure == {"kind": "not_finite", "reason": "made up"}


def test_a_run_that_failed_is_not_tried_again_after_a_kill(data: Counted, tmp_path: Path) -> None:
    failing = derive(11, "claim", 0, 0)
    left = [23]

    def score(job: RungJob) -> float | None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return None if job.seed == failing else fixed_score(job)

    with pytest.raises(KeyboardInterrupt):
        confirm(confirming(tmp_path, data, score))
    left[0] = 100
    made = confirming(tmp_path, data, score)
    confirm(made)
    assert len(jobs(made)) == 29 - 23 and sum(run.failure is not None for run in runs(made, "claim")) == 3


def test_an_arm_that_equals_a_baseline_is_not_trained_twice(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, lambda job: 0.5, known=[trials(data)[1]])
    claim = confirm(made)
    trained = [(job.seed, fingerprint(dict(job.pipeline))) for job in jobs(made)]
    assert len(trained) == len(set(trained)) == 2 + (6 + 4) + (3 + 3)
    assert claim.comparisons["kd"].text.startswith("the same as vanilla KD")
    assert arm_of(claim, "kd").test == arm_of(claim, "pick").test
    assert "the same" not in claim.comparisons["alone"].text


def stopped(folder: Path, data: Dataset, after: int) -> Round:
    """A confirmer that is killed after so many runs."""
    left = [after]

    def score(job: RungJob) -> float:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return fixed_score(job)

    return confirming(folder, data, score)


def test_confirm_goes_on_where_it_was_killed(data: Counted, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = confirming(tmp_path / "whole", data)
    expected = confirm(whole)
    ran = 0
    for after in (1, 5, 0, 8, 6):
        made = stopped(tmp_path / "killed", data, after)
        with pytest.raises(KeyboardInterrupt):
            confirm(made)
        ran += after
    last = confirming(tmp_path / "killed", data)
    assert confirm(last) == expected
    assert ran + len(jobs(last)) == len(jobs(whole))
    assert last.log.records.runs == whole.log.records.runs and last.log.records.choices == whole.log.records.choices
    assert len((tmp_path / "killed" / "test_reads.jsonl").read_text().splitlines()) == 1


def test_a_claims_student_that_was_lost_is_trained_again_and_recorded_once(data: Counted, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        confirm(stopped(tmp_path, data, 23))
    lost = tmp_path / "confirm" / "round0" / "pick-0.safetensors"
    before = lost.read_bytes()
    lost.unlink()
    made = confirming(tmp_path, data)
    confirm(made)
    assert lost.read_bytes() == before and len(jobs(made)) == 1 + 29 - 23
    keys = Counter((r.stage, r.arm, r.variant, r.seed) for r in made.log.records.runs)
    assert max(keys.values()) == 1


def test_a_new_claim_takes_the_old_claims_bundle_away(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data)
    confirm(made)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "metrics.json").write_text("{}")
    confirm(made)
    assert not (tmp_path / "best").exists()


def test_no_finished_trial_is_told_with_reasons(data: Counted, tmp_path: Path) -> None:
    failed = [trial(0, failure="not_finite"), trial(1, failure="error"), trial(2)]
    with pytest.raises(NothingFeasible, match="no trial finished; reasons: made up") as error:
        confirm(confirming(tmp_path, data, known=failed))
    assert error.value.exit_code == 3
    with pytest.raises(NothingFeasible, match="none was run"):
        confirm(confirming(tmp_path, data, known=[]))
    assert data.card["reads"] == []


def test_one_seed_is_no_claim() -> None:
    with pytest.raises(SpaceError, match=r"budget.claim_seeds: .*2"):
        parse(SPACE.replace("claim_seeds: 2", "claim_seeds: 1"))


def left(seconds: float) -> Clock:
    """A clock that stands still."""
    return Clock(seconds, before=0.0, began=0.0, now=lambda: 0.0)


def designs(made: Round) -> dict[str, int]:
    return {design.stage: design.seeds for design in made.log.records.designs}


def test_without_time_confirm_still_claims_on_few_seeds_and_tunes_nothing(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, clock=left(1e-3))
    found = confirm(made)
    assert designs(made) == {"select": 1, "tune": 0, "claim": 2}
    assert not runs(made, "select") and not runs(made, "tune")  # one finalist: there is nothing to choose
    assert [len(arm.test) for arm in found.arms] == [2, 2, 2]
    assert found.used.pipeline == made.log.records.trials[2].pipeline
    reasons = [design.reason for design in made.log.records.designs]
    assert "the time left does not bear the grid" in reasons[1] and "as many as the time left bears" in reasons[2]


def test_time_that_is_left_goes_into_more_seeds(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, clock=left(1e6))
    confirm(made)
    assert designs(made)["tune"] == 1 and designs(made)["claim"] == 4 * BUDGET.claim_seeds
    assert len(runs(made, "claim")) == 3 * 4 * BUDGET.claim_seeds and runs(made, "tune")


def test_what_time_decided_is_kept_by_the_session_that_goes_on(data: Counted, tmp_path: Path) -> None:
    first = confirming(tmp_path, data, clock=left(1e-3))
    pipelines = tune_arms(first, choose_trial(first))
    again = confirming(tmp_path, data, clock=left(1e6))
    assert tune_arms(again, choose_trial(again)) == pipelines
    assert {**designs(again), "claim": None} == {"select": 1, "tune": 0, "claim": None}
