"""Claim: all arms on fresh seeds, then the test split, read once; what comes of it is what the study recommends.

The matched baselines are the pick with its losses replaced (see `autokd.study.arms`). They have the student's own
classifier; student, augmentation, optimizer, schedule and length are the same, and where there was time for it the
learning rate and loss weights of all arms were tuned over the same small grid.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autokd.metrics import Metric
from autokd.search.confirm.read_test import Answers, read_test
from autokd.search.confirm.round import Round
from autokd.search.confirm.select import choose_trial
from autokd.search.confirm.tune import TunedArm, tune_arms
from autokd.search.limits import recorded_cost
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.spec import PipelineSpec, fingerprint, to_plain
from autokd.study import comparison
from autokd.study.arms import ALONE, PICK, baseline_kinds
from autokd.study.choice import Candidate
from autokd.study.claim import Arm, ArmRun, Claim, Comparison, SplitValues, arm_runs
from autokd.study.noise import STRETCH
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.store import student_file

FEWEST, FILL = 2, 4
"""Seeds of the claim where time is short, and times the budget's seeds, at most, where there is time left."""


@dataclass(frozen=True)
class MakeClaim:
    """Trains all arms on fresh seeds, reads the test split and records the claim."""

    name: str = "claim"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each arm and fresh seed, each seed with its own views, and the students' predictions."""
        kinds, budget = baseline_kinds(has_teacher=scope.has_teacher), scope.budget
        arms, seeds = 1 + len(kinds), budget.claim_seeds
        return [
            Work(
                stage=self.name,
                runs=arms * seeds,
                most=STRETCH * arms * seeds,
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=seeds * (1 + sum(kind.reads_teacher for kind in kinds)),
                view_seeds=seeds,
                views=seeds * budget.epochs,
                predictions=arms * seeds,
            )
        ]

    def run(self, session: Session) -> None:
        """Make the claim, unless the newest one is about all trials."""
        if not session.is_claimed:
            round = Round.of(session)
            trial = choose_trial(round)
            make_claim(round, trial, tune_arms(round, trial))
            session.tell_confirm()


def make_claim(round: Round, trial: TrialRecord, arms: Mapping[str, TunedArm]) -> Claim:
    """Train every arm on fresh seeds, read test, record the claim and return it.

    Args:
      round: of confirm.
      trial: that the pick comes from.
      arms: by name, tuned.
    """
    claimed = train_arms(round, trial, {name: arm.spec for name, arm in arms.items()})
    claim = _claim(round, trial, arms, claimed)
    shutil.rmtree(round.folder / "best", ignore_errors=True)  # the bundle of an earlier claim
    round.log.append("claim", **claim.to_plain())
    return round.log.records.claims[-1]


def train_arms(round: Round, trial: TrialRecord, arms: Mapping[str, PipelineSpec]) -> dict[str, list[RunRecord]]:
    """Train every arm on the fresh seeds, paired by seed; their number is recorded before the first run.

    Args:
      round: of confirm.
      trial: that the pick comes from.
      arms: by name.
    """
    distinct = {fingerprint(to_plain(spec)): arm for arm, spec in arms.items()}
    relative = round.relative_seconds(trial, arms)
    weight = sum(relative[arm] for arm in distinct.values())
    bearable = max(FEWEST, round.bearable([trial], 1.0, arms=weight, predicted=len(arms)))
    least = round.budget.claim_seeds
    filled = min(bearable, FILL * least) if round.clock.limit is not None else None
    design = round.design("claim", arms=len(arms), least=least, most=bearable, filled=filled)
    wanted = [
        round.wanted("claim", arm, spec, seed=round.derive("claim", i))._replace(
            view_seed=round.derive("claim views", i), save=student_file(round.folder, round.number, arm, i)
        )
        for i in range(design.seeds)
        for arm, spec in arms.items()
    ]
    claimed: dict[str, list[RunRecord]] = {arm: [] for arm in arms}
    for asked, run in zip(wanted, round.runner.train(wanted), strict=True):
        claimed[asked.arm].append(run)
    return claimed


def _claim(
    round: Round, trial: TrialRecord, arms: Mapping[str, TunedArm], claimed: Mapping[str, Sequence[RunRecord]]
) -> Claim:
    """The comparator is fixed on validation, before test is read."""
    metric, use = round.objective.metric, PICK
    others = [arm for arm in arms if arm != use]
    comparator = max(others, key=lambda arm: float(np.mean([run.score for run in claimed[arm]])))
    answers = read_test(round, claimed, lambda arm, i: student_file(round.folder, round.number, arm, i))
    test, teacher = answers.values(metric), answers.teacher_values(metric)
    recorded = tuple(_arm(round, name, arm, claimed[name], test[name]) for name, arm in arms.items())
    return Claim(
        round=round.number,
        trials=len(round.log.records.trials),
        trial=trial.number,
        use=use,
        comparators=(comparator,),
        evidence="fresh seeds",
        arms=recorded,
        metric=metric.name,
        epochs=round.budget.epochs,
        teacher=teacher,
        comparisons=_comparisons(answers, metric, use, arms),
        prediction_interval=comparison.prediction_interval(test[use], answers.items, metric),
        gap_closed=_gap_closed(recorded, use, teacher, metric),
        n_test=answers.items,
        front=_front(round),
    )


def _gap_closed(arms: Sequence[Arm], use: str, teacher: SplitValues | None, metric: Metric) -> float | None:
    """Share of the gap between student alone and teacher that the recommended arm closed, on test."""
    used = next(arm for arm in arms if arm.name == use)
    alone = next((arm for arm in arms if arm.kind == ALONE), None)
    if teacher is None or alone is None:
        return None
    return comparison.gap_closed(float(np.mean(used.test)), float(np.mean(alone.test)), teacher.test, metric)


def _comparisons(answers: Answers, metric: Metric, use: str, arms: Mapping[str, TunedArm]) -> dict[str, Comparison]:
    others = [arm for arm in arms if arm != use]
    compared = answers.compare(metric, use, others)
    same = [arm for arm in others if arms[arm].spec == arms[use].spec]
    return {**compared, **{arm: comparison.identical(compared[arm], arm) for arm in same}}


def _arm(round: Round, name: str, tuned: TunedArm, runs: Sequence[RunRecord], test: Sequence[float]) -> Arm:
    metric, pipeline = round.objective.metric, to_plain(tuned.spec)
    return Arm(
        name=name,
        kind=name,
        pipeline=pipeline,
        cost=recorded_cost(pipeline, round.context.data.task, round.offers, round.meter),
        runs={
            "tune": tuple(ArmRun(r.seed, metric.value(r.score), variant=variant) for variant, r in tuned.runs),
            "claim": arm_runs([run.seed for run in runs], [metric.value(run.score) for run in runs], test),
        },
    )


def _front(round: Round) -> tuple[Candidate, ...]:
    """With several objectives the candidates on the front, best first."""
    there = [candidate for candidate in round.log.records.choices[-1].candidates if candidate.on_front]
    return tuple(sorted(there, key=lambda candidate: (-candidate.mean, candidate.trial)))
