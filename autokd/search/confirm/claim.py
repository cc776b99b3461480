"""Claim: the recommended arm and what it is compared with, then the test split, read once.

Their runs are on seeds that no choice has seen; or, where the budget has none left for that, they are those that chose,
and the intervals hold for any two arms. The matched baselines are the pick with its losses replaced (see
`autokd.study.arms`): student, augmentation, schedule and length are the same, and where there was time for it the
learning rates of all were tuned over the same small grid.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autokd.metrics import Metric
from autokd.search.confirm.choose import Decision, decide
from autokd.search.confirm.contenders import Contender
from autokd.search.confirm.read_test import Answers, read_test
from autokd.search.confirm.round import Round
from autokd.search.confirm.seeds import claims_on_same_seeds
from autokd.search.confirm.select import selected_runs
from autokd.search.limits import recorded_cost
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.space import Budget
from autokd.spec import to_plain
from autokd.study import comparison
from autokd.study.arms import ALONE, baseline_kinds
from autokd.study.choice import Candidate
from autokd.study.claim import Arm, ArmRun, Claim, Comparison, Evidence, SplitValues, arm_runs
from autokd.study.intervals import Family
from autokd.study.noise import STRETCH
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.store import student_file, student_of_trial
from autokd.types import RungResult

MOST_COMPARED = 3
"""Arms that the recommended one is compared with, at most."""


@dataclass(frozen=True)
class MakeClaim:
    """Trains what is to be compared, reads the test split and records the claim."""

    name: str = "claim"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each compared arm and fresh seed, and the predictions of all claimed students.

        The runs are on the study's views, like all others: the teacher has answered them.
        """
        budget, epochs = scope.budget, scope.budget.epochs
        if claims_on_same_seeds(budget):
            arms, seeds, runs = 2 + len(baseline_kinds(has_teacher=scope.has_teacher)), budget.choose_seeds, 0
            arms += scope.has_teacher  # KD by hand beside the best recipe
        else:
            arms = _arms_compared(scope)
            seeds = max(1, budget.claim_seeds)
            runs = 0 if budget.ends_with_a_trial else arms * seeds
        return [
            Work(
                stage=self.name,
                runs=runs,
                most=STRETCH * runs if budget.claim_seeds else runs,
                epochs=epochs,
                horizon=epochs,
                reading=runs * scope.has_teacher,
                predictions=arms * seeds if budget.claim_seeds else 0,
            )
        ]

    def run(self, session: Session) -> None:
        """Make the claim, unless the newest one is about all trials."""
        if not session.is_claimed:
            round = Round.of(session)
            make_claim(round, decide(round))
            session.tell_confirm()


def _arms_compared(scope: Scope) -> int:
    """The recommended arm, and those that it may be compared with."""
    if not scope.budget.claim_seeds:
        return 1
    several = scope.has_teacher and scope.budget.choose_seeds
    return 1 + (MOST_COMPARED if several else 1)


def make_claim(round: Round, decision: Decision) -> Claim:
    """Train what is compared, read test, record the claim and return it.

    Without seeds for a claim test is not read, and the student is that of the recommended trial.

    Args:
      round: of confirm.
      decision: what is recommended and compared.
    """
    evidence = evidence_of(round.budget)
    claimed = decision.runs if evidence == "same seeds" else train_compared(round, decision)
    answers = None
    if evidence != "none":
        answers = read_test(round, claimed, lambda arm, i: _file(round, arm, i), decision.use.use)
    claim = _claim(round, decision, claimed, answers)
    shutil.rmtree(round.folder / "best", ignore_errors=True)  # the bundle of an earlier claim
    round.log.append("claim", **claim.to_plain())
    return round.log.records.claims[-1]


def evidence_of(budget: Budget) -> Evidence:
    """Return what a claim under a budget rests on."""
    if not budget.claim_seeds:
        return "none"
    return "same seeds" if claims_on_same_seeds(budget) else "fresh seeds"


def _file(round: Round, arm: str, i: int) -> Path:
    return student_file(round.folder, round.number, arm, i)


def train_compared(round: Round, decision: Decision) -> dict[str, list[RunRecord]]:
    """Train the recommended arm and its comparators on the claim's seeds, paired by seed.

    Args:
      round: of confirm.
      decision: says which, and on how many seeds; without a claim on one.
    """
    use, arms = decision.use, decision.contenders
    if round.budget.ends_with_a_trial:
        return {use.use: [_taken(round, arms[use.use])]}
    wanted = [
        round.wanted("claim", name, arms[name].spec, seed=round.derive("claim", i))._replace(save=_file(round, name, i))
        for i in range(max(1, use.seeds))
        for name in (use.use, *use.comparators)
    ]
    return round.train_arms(wanted)


def _taken(round: Round, arm: Contender) -> RunRecord:
    """The run of the trial that is recommended, under its own seed; its student is where claimed ones are.

    Nothing is trained, unless the student that explore kept is gone.
    """
    trial, file = arm.trial, _file(round, arm.name, 0)
    assert trial is not None
    run = round.wanted("claim", arm.name, arm.spec, seed=trial.seed)._replace(save=file)
    kept = student_of_trial(round.folder / "trials", trial.number)
    if kept.exists():
        last = trial.rungs[-1]
        file.parent.mkdir(parents=True, exist_ok=True)
        kept.replace(file)
        round.runner.record(run, RungResult(last.score, last.loss, seen=0, seconds=0.0, curve=(), metrics=last.metrics))
    return round.train_arms([run])[arm.name][0]


def _claim(
    round: Round, decision: Decision, claimed: Mapping[str, Sequence[RunRecord]], answers: Answers | None
) -> Claim:
    metric, use = round.objective.metric, decision.use
    test = {} if answers is None else answers.values(metric)
    teacher = None if answers is None else answers.teacher_values(metric)
    arms = tuple(_arm(round, decision, arm, claimed.get(arm.name, ()), test) for arm in decision.contenders.arms)
    family = Family(len(claimed), all_pairs=evidence_of(round.budget) == "same seeds")  # any two might have been chosen
    interval = None if answers is None else comparison.prediction_interval(test[use.use], answers.items, metric)
    return Claim(
        round=round.number,
        trials=use.trials,
        trial=decision.trial.number,
        use=use.use,
        comparators=use.comparators,
        evidence=evidence_of(round.budget),
        arms=arms,
        metric=metric.name,
        epochs=round.budget.epochs,
        teacher=teacher,
        comparisons={} if answers is None else _comparisons(answers, metric, decision, family),
        prediction_interval=interval,
        gap_closed=_gap_closed(arms, use.use, teacher, metric),
        n_test=0 if answers is None else answers.items,
        front=_front(round),
        test_counts=() if answers is None else answers.counts,
    )


def _gap_closed(arms: Sequence[Arm], use: str, teacher: SplitValues | None, metric: Metric) -> float | None:
    """Share of the gap between student alone and teacher that the recommended arm closed, on test."""
    used = next(arm for arm in arms if arm.name == use)
    alone = next((arm for arm in arms if arm.kind == ALONE and arm.test), None)
    if teacher is None or alone is None:
        return None
    return comparison.gap_closed(float(np.mean(used.test)), float(np.mean(alone.test)), teacher.test, metric)


def _comparisons(answers: Answers, metric: Metric, decision: Decision, family: Family) -> dict[str, Comparison]:
    """The recommended arm against each comparator, by the comparator's name."""
    use = decision.use
    pairs = [comparison.Pair(use.use, other, family, decision.contenders[other].phrase) for other in use.comparators]
    return answers.compare(metric, pairs)


def _arm(
    round: Round, decision: Decision, arm: Contender, runs: Sequence[RunRecord], test: Mapping[str, Sequence[float]]
) -> Arm:
    metric, pipeline = round.objective.metric, to_plain(arm.spec)
    values = test.get(arm.name, [None] * len(runs))
    chose = () if evidence_of(round.budget) == "same seeds" else decision.runs.get(arm.name, ())
    tried = [] if arm.trial is None or decision.runs else _as_tried(round, arm.trial)
    purposes = {
        "explore": tuple(ArmRun(seed, metric.value(score)) for seed, score in tried),
        "tune": tuple(ArmRun(r.seed, metric.value(r.score), variant=variant) for variant, r in arm.tuned),
        "choose": tuple(ArmRun(run.seed, metric.value(run.score)) for run in chose),
        "claim": arm_runs([run.seed for run in runs], [metric.value(run.score) for run in runs], values),
    }
    return Arm(
        name=arm.name,
        kind=arm.kind,
        pipeline=pipeline,
        cost=recorded_cost(pipeline, round.context.data.task, round.offers, round.meter),
        runs={purpose: made for purpose, made in purposes.items() if made},
        recipe=arm.recipe,
    )


def _as_tried(round: Round, trial: TrialRecord) -> list[tuple[int, float]]:
    """Seed and score of every full-length run of a trial's pipeline that chose it."""
    full = [rung for rung in trial.rungs if rung.epochs >= round.budget.epochs]
    return [
        *((trial.seed, rung.score) for rung in full),
        *((run.seed, run.score) for run in selected_runs(round, trial)),
    ]


def _front(round: Round) -> tuple[Candidate, ...]:
    """With several objectives the candidates on the front, best first."""
    there = [candidate for candidate in round.log.records.choices[-1].candidates if candidate.on_front]
    return tuple(sorted(there, key=lambda candidate: (-candidate.mean, candidate.trial)))
