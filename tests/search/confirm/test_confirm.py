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
from autokd.files import write_tensors
from autokd.metrics import Predictions, predictions
from autokd.networks.models import seeded
from autokd.search.confirm import claim as claiming
from autokd.search.confirm.choose import Choose, decide
from autokd.search.confirm.claim import MakeClaim, make_claim
from autokd.search.confirm.read_test import Answers
from autokd.search.confirm.round import Round
from autokd.search.confirm.select import Select, choose_trial
from autokd.search.confirm.tune import Tune, tune_arms
from autokd.search.timing.clock import Clock
from autokd.search.work import Scope, run_total
from autokd.seeds import derive
from autokd.space import parse
from autokd.spec import component_from_plain, component_to_plain, fingerprint, make
from autokd.study import comparison
from autokd.study.choice import Candidate
from autokd.study.claim import Arm, Claim
from autokd.study.intervals import Family
from autokd.study.posterior import Prior
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.store import student_of_trial
from autokd.types import Split
from tests.search.executors import Instant
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
    "select": {"choose_seeds": 0},
    "the top rung": {"choose_seeds": 0, "select_seeds": 0},
    "no claim": {"choose_seeds": 0, "select_seeds": 0, "claim_seeds": 0},
}
MADE = {
    ("fresh seeds", True): {"select": 4, "tune": 9, "choose": 8, "claim": 12},
    ("fresh seeds", False): {"select": 4, "tune": 6, "choose": 6, "claim": 6},
    ("same seeds", True): {"select": 4, "tune": 9, "choose": 10},
    ("same seeds", False): {"select": 4, "tune": 6, "choose": 6},
    ("select", True): {"select": 4, "claim": 6},
    ("select", False): {"select": 4, "claim": 6},
    ("the top rung", True): {"claim": 6},
    ("the top rung", False): {"claim": 6},
    ("no claim", True): {},
    ("no claim", False): {},
}
"""Runs by stage, where no two arms are the same and no grid goes on."""
ALL = sum(MADE["fresh seeds", True].values())


def rising(job: RungJob) -> float:
    """A score by the losses alone: the more there are the better."""
    return 0.6 + 0.05 * len(job.pipeline["losses"])


def apart(known: list[TrialRecord]) -> list[TrialRecord]:
    """Trials of which those that are recipes have another batch size, so that they are no matched baselines."""
    return [replace(t, pipeline={**t.pipeline, "batch_size": 32}) if t.recipe else t for t in known]


def with_recipe(data: Dataset) -> list[TrialRecord]:
    """Trials with KD, DIST and the student alone by hand, of which DIST is the best."""
    known = trials(data)
    known[0] = replace(known[0], rungs=trial(0, 0.5, 0.5, 0.55).rungs)
    dist = pipeline(data, dist=component_to_plain(make("losses", "dist", {})))
    return apart([*known, replace(trial(4, 0.5, 0.6, 0.85, source="recipe:dist", pipeline=dist), cost=known[0].cost)])


def keep_students(made: Round) -> None:
    """Leave a student of every trial, as explore does at the top rung of a study that ends with a trial."""
    (made.folder / "trials").mkdir()
    for number, known in made.log.records.trials.items():
        write_tensors(student_of_trial(made.folder / "trials", number), {"of": torch.tensor([known.number])})


@pytest.mark.parametrize("with_teacher", [True, False])
@pytest.mark.parametrize("path", BUDGETS)
def test_the_number_of_runs_announced_is_the_number_made(
    data: Counted, tmp_path: Path, path: str, with_teacher: bool
) -> None:
    budget, known = dataclasses.replace(BUDGET, **BUDGETS[path]), with_recipe(data)
    made = confirming(tmp_path, data, rising, known=known, with_teacher=with_teacher, budget=budget)
    if path == "no claim":
        keep_students(made)
    claim = confirm(made)
    scope = Scope(budget=budget, has_teacher=with_teacher)
    foreseen = [work for stage in (Select(), Tune(), Choose(), MakeClaim()) for work in stage.work(scope)]
    announced = {work.stage: work.runs for work in foreseen if work.runs}
    stages = Counter(run.stage for run in made.log.records.runs if run.seconds)
    assert announced == MADE[path, with_teacher] == stages and len(jobs(made)) == sum(announced.values())
    predicted = sum(len(arm.test) for arm in claim.arms)
    assert predicted == sum(work.predictions for work in foreseen)
    assert run_total(foreseen) >= sum(announced.values())
    assert all((job.horizon, job.until, job.load, job.save) == (4, 4, None, None) for job in jobs(made))


def test_what_was_left_before_the_end_has_no_full_length_value(data: Counted, tmp_path: Path) -> None:
    known = with_recipe(data)
    alone = next(i for i, trial in enumerate(known) if trial.recipe == "alone")
    known[alone] = replace(known[alone], rungs=known[alone].rungs[:1])
    made = confirming(tmp_path, data, known=known, budget=replace(BUDGET, **BUDGETS["no claim"]))
    keep_students(made)
    claim = confirm(made)
    values = {arm.name: [run.validation for run in arm.runs.get("explore", ())] for arm in claim.arms}
    assert values.pop("alone") == [] and all(values.values())
    assert all(len(found) == 1 for found in values.values())


def test_the_student_alone_is_no_finalist_and_no_pipeline_is_one_twice(data: Counted, tmp_path: Path) -> None:
    known = trials(data)
    twin = dataclasses.replace(known[2], number=4)
    made = confirming(tmp_path, data, known=[*known, twin])
    choose_trial(made)
    assert [run.arm for run in runs(made, "select")] == ["trial 2", "trial 2", "trial 3", "trial 3"]


def test_where_nothing_else_finished_the_student_alone_is_confirmed(data: Counted, tmp_path: Path) -> None:
    budget = replace(BUDGET, grid=False)
    made = confirming(tmp_path, data, known=trials(data)[:1], with_teacher=False, budget=budget)
    claim = confirm(made)
    assert claim.trial == 0 and len(runs(made, "claim")) == 3
    assert (claim.use, claim.comparators, claim.compared) == ("alone", (), None) and len(claim.used.test) == 3


def test_a_clearly_better_finalist_is_chosen_and_the_other_stops(data: Counted, tmp_path: Path) -> None:
    def third_is_better(job: RungJob) -> float:
        return 0.9 if "hint" not in job.pipeline["losses"] else 0.8

    made = confirming(tmp_path, data, third_is_better, budget=dataclasses.replace(BUDGET, select_seeds=5))
    assert choose_trial(made).number == 3
    choice = made.log.records.choices[0]
    assert (choice.trial, choice.round, choice.most_seeds, choice.trials) == (3, 0, 5, 4)
    assert choice.reason == (
        "best expected validation score of 2 finalists, 86.6 %; clearly worse and stopped: trial 2 after 2"
    )
    shared: dict[str, Any] = {"params": 2956, "macs": 1}
    prior = Prior.of([0.95, 0.60, 0.90, 0.80], 0.25 / len(data.validation))  # all trials; the noise is not known
    second, third = prior.mean_of([0.8, 0.8, 0.90]), prior.mean_of([0.9, 0.9, 0.80])  # the top rung is one seed more
    assert choice.candidates == (
        Candidate(
            trial=2, scores=[0.8, 0.8], mean=0.8, dropped_after=2, tied=False, losses=3, posterior=second, **shared
        ),
        Candidate(
            trial=3, scores=[0.9, 0.9], mean=0.9, dropped_after=None, tied=True, losses=2, posterior=third, **shared
        ),
    )
    assert len(jobs(made)) == 4


@pytest.mark.parametrize(("score", "chosen"), [(0.88, 2), (0.93, 3)])
def test_the_top_rung_counts_as_one_seed_and_not_more(data: Counted, tmp_path: Path, score: float, chosen: int) -> None:
    """Trial 2 was ten points better at the top rung, and has one seed at 80 %: one at 90 % and more outweighs that."""
    budget = replace(BUDGET, select_seeds=1, rungs=9)  # of which four epochs make three
    made = confirming(tmp_path, data, lambda job: 0.80 if "hint" in job.pipeline["losses"] else score, budget=budget)
    assert choose_trial(made).number == chosen


def test_trials_that_differ_by_less_than_the_noise_leave_the_choice_to_simplicity(
    data: Counted, tmp_path: Path
) -> None:
    made = measured(confirming(tmp_path, data, wobbling), [0.50, 0.70, 0.90])
    assert choose_trial(made).number == 3  # two losses in place of three
    choice = made.log.records.choices[0]
    assert {row.posterior for row in choice.candidates} == {0.8125}  # the mean of all trials at the top rung
    assert choice.reason.endswith("as good and no simpler: trial 2")


def wobbling(job: RungJob) -> float:
    """A score that depends on seed and pipeline by up to 0.02."""
    return 0.7 + 0.02 * (derive(job.seed, fingerprint(dict(job.pipeline))) % 1000) / 1000


def measured(made: Round, scores: list[float]) -> Round:
    """The same confirmer on a study that has measured its noise."""
    for seed, score in enumerate(scores):
        run = {"stage": "noise", "round": 0, "arm": "measured", "variant": "", "seed": seed, "pipeline": {"noise": 1}}
        made.log.append("run", **run, score=score, loss=1.0, seconds=1.0, failure=None)
    return made


def test_a_noisy_study_takes_more_seeds_and_says_so_before_it_runs_them(data: Counted, tmp_path: Path) -> None:
    made = measured(confirming(tmp_path, data, wobbling, known=with_recipe(data)), [0.70, 0.80, 0.90])
    claim = confirm(made)
    assert len(claim.used.seeds) == 6  # twice the budget's three
    assert len({run.seed for run in runs(made, "select")}) == 4
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    marks = [(line["event"], line.get("stage")) for line in lines]
    assert marks.index(("design", "select")) < marks.index(("run", "select"))
    assert marks.index(("run", "tune")) < marks.index(("design", "choose")) < marks.index(("run", "choose"))
    assert marks.index(("run", "choose")) < marks.index(("design", "claim")) < marks.index(("use", None))
    assert marks.index(("use", None)) < marks.index(("run", "claim"))
    designs = [line for line in lines if line["event"] == "design"]
    assert [d["seeds"] for d in designs] == [4, 2, 6] and all(d["round"] == 0 for d in designs)
    assert designs[0]["noise"] == {"sd": pytest.approx(0.1), "df": 2, "mean": pytest.approx(0.8)}
    assert designs[2]["noise"]["df"] == 2 + 6  # select's two finalists, four seeds each


def test_a_quiet_study_keeps_to_the_budget(data: Counted, tmp_path: Path) -> None:
    made = measured(confirming(tmp_path, data, rising, known=with_recipe(data)), [0.800, 0.801, 0.802])
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


COMPARED = ("pick", "hand", "alone", "hand-kd")
"""What `rising` recommends and compares: of DIST and KD by hand, and KD matched, the simplest best is DIST."""


def test_claims_are_made_on_fresh_seeds_that_all_arms_share(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, rising, known=with_recipe(data))
    claim = confirm(made)
    assert (claim.use, *claim.comparators) == COMPARED and claim.evidence == "fresh seeds"
    seeds = {stage: [run.seed for run in runs(made, stage)] for stage in ("select", "tune", "choose", "claim")}
    before = {*seeds["select"], *seeds["tune"], *seeds["choose"]}
    assert len(before) == 2 + 1 + 2 and before.isdisjoint(seeds["claim"]) and len(set(seeds["claim"])) == 3
    assert before.union(seeds["claim"]).isdisjoint(derive(11, "trial", number) for number in range(100))
    assert all([run.seed for run in runs(made, "claim") if run.arm == arm] == claim.used.seeds for arm in COMPARED)
    views = {job.seed: job.view_seed for job in jobs(made) if job.seed in seeds["claim"]}
    assert len(views) == 3 and {*views.values()} == {derive(11, "views")}  # which the teacher has answered
    again = confirm(made)  # a second claim
    assert {*again.used.seeds}.isdisjoint({*claim.used.seeds, *before})
    assert again.round == 1


def test_what_is_recommended_and_compared_is_named_on_validation_before_test_is_read(
    data: Counted, tmp_path: Path
) -> None:
    def score(job: RungJob) -> float:
        assert data.card["reads"] == []
        return rising(job)

    made = confirming(tmp_path, data, score, known=with_recipe(data))
    claim = confirm(made)
    (use,) = made.log.records.uses
    assert (use.use, use.comparators, use.seeds) == ("pick", ("hand", "alone", "hand-kd"), 3)
    assert use.means == {
        name: pytest.approx(m) for name, m in (("alone", 0.65), ("hand", 0.70), ("kd", 0.70), ("pick", 0.75))
    }
    assert use.reason == "the search's pick has the best mean validation score of 4 arms over 2 seeds, 75.0 %"
    assert claim.comparator == "hand" and arm_of(claim, "hand").recipe == "dist"
    assert arm_of(claim, "hand").phrase == "the recipe by hand (dist)"
    purposes = {arm.name: {purpose: len(made) for purpose, made in arm.runs.items()} for arm in claim.arms}
    assert purposes == {
        "alone": {"tune": 3, "choose": 2, "claim": 3},
        "hand": {"choose": 2, "claim": 3},
        "hand-kd": {"claim": 3},
        "kd": {"tune": 3, "choose": 2},
        "pick": {"tune": 3, "choose": 2, "claim": 3},
    }


def test_what_test_contradicts_is_still_recommended_and_called_worse(
    data: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All students are untrained; answers are put in their place: those of the pick are the only wrong ones."""
    made = confirming(tmp_path, data, rising, known=with_recipe(data))

    def read(round: Round, claimed: Mapping[str, Any], file: Any, use: str) -> Answers:
        labels = torch.arange(100) % 10
        right = predictions(torch.eye(10)[labels], labels)
        wrong = predictions(torch.eye(10)[(labels + (labels < 5)) % 10], labels)
        students: dict[str, list[Predictions | None]] = {
            arm: [wrong if arm == "pick" else right] * len(row) for arm, row in claimed.items()
        }
        return Answers(students, None, (10,) * 10)

    monkeypatch.setattr(claiming, "read_test", read)
    claim = confirm(made)
    assert claim.use == "pick" and claim.compared is not None and claim.compared.verdict == "worse"


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
    made = confirming(tmp_path, data, rising, known=with_recipe(data))
    claim = confirm(made)
    test = to_device(data.read_test(), data.task, torch.device("cpu"))
    component = component_from_plain("students", claim.used.pipeline["student"])
    kept = load_file(tmp_path / "confirm" / "round0.safetensors")
    assert (claim.use, *claim.comparators) == COMPARED
    correct: dict[str, list[Any]] = {name: [] for name in COMPARED}
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
    for other in COMPARED[1:]:
        pair = comparison.Pair("pick", other, Family(4), arm_of(claim, other).phrase)
        assert claim.comparisons[other] == comparison.compare(stacked, pair)
    low, high = comparison.prediction_interval(arm_of(claim, "pick").test, claim.n_test)
    assert claim.prediction_interval == (low, high)
    assert claim.used.cost["params"] == sum(p.numel() for p in student.parameters())
    assert claim.trials == 5 and claim.epochs == 4


def test_without_a_teacher_nothing_is_said_of_one(data: Counted, tmp_path: Path) -> None:
    claim = confirm(confirming(tmp_path, data, rising, known=with_recipe(data), with_teacher=False))
    assert claim.teacher is None and claim.gap_closed is None
    assert [arm.name for arm in claim.arms] == ["alone", "hand", "pick"] and arm_of(claim, "hand").recipe == "alone"
    assert (claim.use, claim.comparators) == ("pick", ("alone",))


def test_a_run_that_fails_counts_as_wrong(data: Counted, tmp_path: Path) -> None:
    failing = derive(11, "claim", 0, 1)

    def score(job: RungJob) -> float | None:
        return None if job.seed == failing and "hint" in job.pipeline["losses"] else rising(job)

    made = confirming(tmp_path, data, score, known=[trials(data)[2]])
    claim = confirm(made)
    assert arm_of(claim, "pick").test[1] == 0.0 and arm_of(claim, "pick").validation[1] == 0.0
    assert arm_of(claim, "alone").test[1] > 0 and arm_of(claim, "pick").test[0] > 0
    failed = [run for run in runs(made, "claim") if run.failure]
    assert [(run.arm, run.seed, run.score) for run in failed] == [("pick", failing, 0.0)]
    assert failed[0].failure == {"kind": "not_finite", "reason": "made up"}


def test_a_run_that_failed_is_not_tried_again_after_a_kill(data: Counted, tmp_path: Path) -> None:
    failing, left = derive(11, "claim", 0, 0), [ALL - 6]

    def score(job: RungJob) -> float | None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return None if job.seed == failing else rising(job)

    with pytest.raises(KeyboardInterrupt):
        confirm(confirming(tmp_path, data, score, known=with_recipe(data)))
    left[0] = 100
    made = confirming(tmp_path, data, score, known=with_recipe(data))
    confirm(made)
    assert len(jobs(made)) == 6 and sum(run.failure is not None for run in runs(made, "claim")) == len(COMPARED)


def test_arms_with_the_same_pipeline_are_one_under_the_simpler_ones_name(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, lambda job: 0.5, known=trials(data)[1:2], budget=replace(BUDGET, grid=False))
    claim = confirm(made)
    assert [(arm.name, arm.recipe) for arm in claim.arms] == [("alone", None), ("hand", "kd")]
    trained = [(job.seed, fingerprint(dict(job.pipeline))) for job in jobs(made)]
    assert len(trained) == len(set(trained)) == 2 + 2 * 2 + 2 * 3
    assert (claim.use, claim.comparators) == ("alone", ("hand",))
    assert claim.comparisons["hand"].text.startswith("not distinguishable from the recipe by hand (kd)")


def stopped(folder: Path, data: Dataset, after: int) -> Round:
    """A confirmer that is killed after so many runs."""
    left = [after]

    def score(job: RungJob) -> float:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return rising(job)

    return confirming(folder, data, score, known=with_recipe(data))


def test_confirm_goes_on_where_it_was_killed(data: Counted, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = confirming(tmp_path / "whole", data, rising, known=with_recipe(data))
    expected = confirm(whole)
    ran = 0
    for after in (1, 5, 0, 8, 6, 6):
        made = stopped(tmp_path / "killed", data, after)
        with pytest.raises(KeyboardInterrupt):
            confirm(made)
        ran += after
    last = confirming(tmp_path / "killed", data, rising, known=with_recipe(data))
    assert confirm(last) == expected
    assert ran + len(jobs(last)) == len(jobs(whole))
    assert last.log.records.runs == whole.log.records.runs and last.log.records.choices == whole.log.records.choices
    assert len((tmp_path / "killed" / "test_reads.jsonl").read_text().splitlines()) == 1


def test_a_claims_student_that_was_lost_is_trained_again_and_recorded_once(data: Counted, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        confirm(stopped(tmp_path, data, ALL - 6))
    lost = tmp_path / "confirm" / "round0" / "pick-0.safetensors"
    before = lost.read_bytes()
    lost.unlink()
    made = confirming(tmp_path, data, rising, known=with_recipe(data))
    confirm(made)
    assert lost.read_bytes() == before and len(jobs(made)) == 1 + 6
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
    assert designs(made) == {"select": 1, "tune": 0, "choose": 2, "claim": 2}
    assert not runs(made, "select") and not runs(made, "tune")  # one finalist: there is nothing to choose
    assert [len(arm.test) for arm in found.arms if arm.test] == [2] * (1 + len(found.comparators))
    assert arm_of(found, "pick").pipeline == made.log.records.trials[2].pipeline
    reasons = [design.reason for design in made.log.records.designs]
    assert "the time left does not bear the grid" in reasons[1] and "as many as the time left bears" in reasons[3]


@pytest.mark.parametrize(("path", "stage", "least"), [("fresh seeds", "claim", 3), ("same seeds", "choose", 2)])
def test_time_that_is_left_goes_into_more_seeds(
    data: Counted, tmp_path: Path, path: str, stage: str, least: int
) -> None:
    made = confirming(tmp_path, data, clock=left(1e6), budget=replace(BUDGET, **BUDGETS[path]))
    claim = confirm(made)
    assert designs(made)["tune"] == 1 and designs(made)[stage] == 4 * least == len(claim.used.test)
    assert runs(made, "tune") and len({run.seed for run in runs(made, stage)}) == 4 * least


def test_on_the_same_seeds_any_two_arms_are_compared(data: Counted, tmp_path: Path) -> None:
    budget = replace(BUDGET, **BUDGETS["same seeds"])
    made = confirming(tmp_path, data, rising, known=with_recipe(data), budget=budget)
    claim = confirm(made)
    assert claim.evidence == "same seeds" and (claim.use, *claim.comparators) == COMPARED
    assert all(len(arm.claimed) == len(arm.test) == 2 and "choose" not in arm.runs for arm in claim.arms)
    compared = claim.comparisons["alone"]
    assert compared.high - compared.difference == pytest.approx(
        Family(5, all_pairs=True).half_width(compared.df) * compared.standard_error
    )
    assert made.log.records.uses[0].seeds == 2 and set(claim.comparisons) == set(COMPARED[1:])


def test_where_the_top_rung_chooses_one_arm_is_compared(data: Counted, tmp_path: Path) -> None:
    budget = replace(BUDGET, **BUDGETS["the top rung"])
    claim = confirm(confirming(tmp_path, data, rising, known=with_recipe(data), budget=budget))
    assert [(arm.name, arm.recipe) for arm in claim.arms] == [
        ("alone", "alone"),
        ("hand", "dist"),
        ("hand-kd", "kd"),
        ("pick", None),
    ]
    assert (claim.trial, claim.use, claim.comparators, claim.evidence) == (2, "pick", ("alone",), "fresh seeds")
    assert [run.validation for run in arm_of(claim, "hand").runs["explore"]] == [0.85]
    known = with_recipe(data)
    known[0] = replace(known[0], rungs=trial(0, 0.9, 0.9, 0.95).rungs)
    (tmp_path / "alone").mkdir()
    alone = confirm(confirming(tmp_path / "alone", data, rising, known=known, budget=budget))
    assert (alone.trial, alone.use, alone.comparators) == (0, "alone", ("hand-kd",))


def test_where_select_chooses_its_seeds_count_and_other_arms_are_compared_with_only(
    data: Counted, tmp_path: Path
) -> None:
    """DIST was lucky at the top rung; over three seeds the trial with three losses is better."""
    budget, known = replace(BUDGET, **BUDGETS["select"]), with_recipe(data)
    known[4] = replace(known[4], rungs=trial(4, 0.5, 0.6, 0.96).rungs)
    score = {1: 0.60, 2: 0.80, 3: 0.95}
    made = confirming(tmp_path, data, lambda job: score[len(job.pipeline["losses"])], known=known, budget=budget)
    claim = confirm(made)
    assert {run.arm for run in runs(made, "select")} == {"trial 2", "trial 4"}
    assert (claim.trial, claim.use, claim.comparators, claim.evidence) == (2, "pick", ("alone",), "fresh seeds")
    means = made.log.records.uses[0].means
    assert means == pytest.approx({"pick": (0.90 + 2 * 0.95) / 3, "hand": (0.96 + 2 * 0.80) / 3})


def test_without_a_claim_the_best_trial_is_recommended_and_test_is_not_read(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, known=with_recipe(data), budget=replace(BUDGET, **BUDGETS["no claim"]))
    keep_students(made)
    claim = confirm(made)
    assert (claim.trial, claim.use, claim.comparators, claim.evidence) == (2, "pick", (), "none")
    assert claim.comparisons == {} and claim.compared is None and claim.prediction_interval is None
    assert data.card["reads"] == [] and not (tmp_path / "test_reads.jsonl").exists()
    (run,) = claim.used.claimed
    assert (run.seed, run.validation, run.test, claim.n_test) == (2, 0.90, None, 0)
    assert load_file(tmp_path / "confirm" / "round0" / "pick-0.safetensors")["of"].tolist() == [2]
    assert jobs(made) == []  # it is the trial's own student: nothing is trained again
    assert Claim.from_plain(json.loads(json.dumps(claim.to_plain()))) == claim


def test_a_recipe_on_another_family_is_found_and_not_by_hand(data: Counted, tmp_path: Path) -> None:
    known = with_recipe(data)
    other = {**known[4].pipeline, "student": component_to_plain(make("students", "resnet", {"depth": 8, "width": 4}))}
    best = replace(trial(5, 0.5, 0.6, 0.99, source="recipe:dkd", pipeline=other), cost=known[0].cost)
    made = confirming(tmp_path, data, known=[*known, best], budget=replace(BUDGET, **BUDGETS["no claim"]))
    claim = confirm(made)
    assert (claim.trial, claim.use, claim.used.recipe) == (5, "pick", "dkd")
    assert {arm.name: arm.recipe for arm in claim.arms if arm.kind == "hand"} == {"hand": "dist", "hand-kd": "kd"}


def test_a_trial_whose_student_is_gone_is_trained_again_under_its_own_seed(data: Counted, tmp_path: Path) -> None:
    made = confirming(tmp_path, data, known=with_recipe(data), budget=replace(BUDGET, **BUDGETS["no claim"]))
    confirm(made)
    (job,) = jobs(made)
    assert (job.seed, job.view_seed, job.student) == (
        2,
        derive(made.seed, "views"),
        tmp_path / "confirm" / "round0" / "pick-0.safetensors",
    )


def test_what_time_decided_is_kept_by_the_session_that_goes_on(data: Counted, tmp_path: Path) -> None:
    first = confirming(tmp_path, data, clock=left(1e-3))
    pipelines = tune_arms(first, choose_trial(first))
    again = confirming(tmp_path, data, clock=left(1e6))
    assert tune_arms(again, choose_trial(again)) == pipelines
    assert designs(again) == {"select": 1, "tune": 0}
