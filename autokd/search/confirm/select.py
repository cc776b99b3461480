"""Select: the finalists race over seeds, on validation; the one with the best expected score is chosen.

A run here is as long as explore's top rung, so that a finalist's score there counts as one more seed. All of them are
drawn towards the mean of the trials that reached it (`autokd.study.posterior`), since the finalists are the best of
many. The number of seeds comes from the study's noise (`autokd.study.noise`) and is recorded before the first run.
Where the budget has no seeds for choosing between arms, the top rung itself is what chooses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autokd.errors import NothingFeasible
from autokd.metrics import METRICS
from autokd.search.confirm.racing import Score, Standing, choose, choose_of_front, race
from autokd.search.confirm.round import Round
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.space import Budget
from autokd.spec import fingerprint
from autokd.study import noise
from autokd.study.choice import Candidate, Choice
from autokd.study.design import Noise
from autokd.study.noise import STRETCH
from autokd.study.pareto import longest_front, values_at
from autokd.study.posterior import Prior, noise_sd
from autokd.study.ranking import ranked
from autokd.study.records import RunRecord, TrialRecord

SHARE = 0.3
"""Of the time left that select may take."""


@dataclass(frozen=True)
class Select:
    """Chooses a trial among the finalists."""

    name: str = "select"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each finalist and seed, on the study's views."""
        budget = scope.budget
        runs = budget.finalists * budget.select_seeds
        if not runs:
            return []
        return [
            Work(
                stage=self.name,
                runs=runs,
                most=STRETCH * runs,
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=runs if scope.has_teacher else 0,
                drawn=True,
            )
        ]

    def run(self, session: Session) -> None:
        """Choose, unless the newest claim is about all trials."""
        if not session.is_claimed:
            session.tell_confirm()
            choose_trial(Round.of(session))


@dataclass(frozen=True, kw_only=True)
class _Field:
    """Who is compared in select.

    Args:
      trials: the finalists, best first.
      seeds: each may get; 0: the top rung alone counts.
      noise: estimated beforehand, or None.
    """

    trials: Sequence[TrialRecord]
    seeds: int
    noise: Noise | None

    @property
    def numbers(self) -> list[int]:
        """Numbers of the finalists."""
        return [trial.number for trial in self.trials]


def choose_trial(round: Round) -> TrialRecord:
    """Return the trial that is chosen, from the records or after a race.

    Raises:
      NothingFeasible: no trial finished.
    """
    trials = round.log.records.trials
    choice = next((c for c in reversed(round.log.records.choices) if c.round == round.number), None)
    if choice is None or choice.trials not in (None, len(trials)):
        field = _field(round)
        choice = _compare_front(round, field) if round.objective.several else _race(round, field)
    return trials[choice.trial]


def _race(round: Round, field: _Field) -> Choice:
    if field.seeds:
        standings = race(
            field.numbers,
            lambda numbers, seeds: {n: _scores(runs) for n, runs in _train(round, numbers, seeds).items()},
            most=field.seeds,
            noise=field.noise,
            resolution=1 / len(round.context.data.validation),
            worst=round.objective.metric.worst_score,
        )
    else:
        standings = {trial.number: Standing([trial.score], None, True) for trial in field.trials}
    expected = _expected(round, field, standings)
    best, reason = choose(field.trials, standings, expected, round.objective.metric)
    candidates = [
        dataclasses.replace(_candidate(trial, standings[trial.number]), posterior=expected[trial.number])
        for trial in field.trials
    ]
    return _record(round, best, candidates, field, reason)


def _expected(round: Round, field: _Field, standings: Mapping[int, Standing]) -> dict[int, float]:
    """The posterior mean of each finalist's score; its score at the top rung counts as one more seed."""
    top = top_rung_scores(round)
    sd = noise_sd(field.noise, len(round.context.data.validation))
    prior = Prior.of(list(top.values()) or [standings[number].mean for number in field.numbers], sd**2)

    def scores(number: int) -> list[float]:
        counted = standings[number].counted
        return [*counted, top[number]] if field.seeds and number in top else counted

    return {number: prior.mean_of(scores(number)) for number in field.numbers}


def selected_runs(round: Round, trial: TrialRecord) -> list[RunRecord]:
    """Return the runs of a trial's pipeline in this round's race, one a seed; [] where it was no finalist."""
    arm, runs = f"trial {trial.number}", round.log.records.runs
    return [run for run in runs if (run.stage, run.round, run.arm) == ("select", round.number, arm)]


def scores_of(round: Round, trial: TrialRecord) -> list[float]:
    """Return all full-length scores of a trial's pipeline that may choose it: at its last rung, and in the race."""
    return [*(rung.score for rung in trial.rungs[-1:]), *(run.score for run in selected_runs(round, trial))]


def top_rung_scores(round: Round) -> dict[int, float]:
    """Return the score of every trial that finished the longest rung, by number."""
    trials = round.log.records.trials.values()
    done = [trial for trial in trials if trial.failure is None and trial.rungs]
    return {trial.number: trial.rungs[-1].score for trial in done if trial.rungs[-1].epochs == round.budget.epochs}


def _compare_front(round: Round, field: _Field) -> Choice:
    """Train the finalists of a study of several objectives under the same seeds; none is stopped early."""
    scores: Mapping[int, Sequence[Score]]
    if field.seeds:
        runs = _train(round, field.numbers, range(field.seeds))
        scores = {number: _scores(row) for number, row in runs.items()}
        means = {trial.number: _means(round, trial, runs[trial.number]) for trial in field.trials}
    else:
        scores = {trial.number: [trial.score] for trial in field.trials}
        means = {trial.number: values_at(round.objective, trial, trial.rungs[-1]) for trial in field.trials}
    best, front, standings, reason = choose_of_front(
        field.trials,
        scores,
        means,
        objective=round.objective,
        noise=field.noise,
        resolution=1 / len(round.context.data.validation),
    )
    candidates = [
        _candidate(
            trial,
            standings[trial.number],
            objectives=round.objective.shown(means[trial.number]),
            on_front=trial.number in front,
        )
        for trial in field.trials
    ]
    return _record(round, best, candidates, field, reason)


def _record(round: Round, best: TrialRecord, candidates: Sequence[Candidate], field: _Field, reason: str) -> Choice:
    choice = Choice(
        round=round.number,
        trials=len(round.log.records.trials),
        trial=best.number,
        candidates=tuple(candidates),
        most_seeds=max(1, field.seeds),
        reason=reason,
    )
    round.log.append("choice", **choice.to_plain())
    return choice


def _field(round: Round) -> _Field:
    """The finalists that the time left bears, and the seeds that each may get."""
    every, budget = find_finalists(round), round.budget
    if not budget.select_seeds:
        first = every if budget.choose_seeds or round.objective.several else every[:1]
        return _Field(trials=first, seeds=0, noise=noise.estimate(round.log.records))
    bearable = round.bearable(every, _share(budget))
    design = round.design(
        "select",
        arms=min(len(every), max(1, bearable)),
        least=budget.select_seeds,
        most=max(1, bearable // len(every)),
    )
    alone = design.arms == 1 and round.clock.limit is not None  # there is nothing to choose
    return _Field(trials=every[: design.arms], seeds=0 if alone else design.seeds, noise=design.noise)


def _share(budget: Budget) -> float:
    """Of the time left that select may take: where nothing else chooses, all but for the runs of the claim."""
    if budget.choose_seeds:
        return SHARE
    runs = budget.finalists * budget.select_seeds
    return runs / (runs + 2 * budget.claim_seeds)


def find_finalists(round: Round) -> list[TrialRecord]:
    """Return the trials that select compares: the best, or with several objectives those of the front.

    Where they are to be compared with arms that have no teacher, they read it, unless no such trial finished. Where
    nothing but select chooses, the best trial is what is recommended, whatever it is.

    Raises:
      NothingFeasible: no trial finished.
    """
    trials, unique = round.log.records.trials.values(), dict[str, TrialRecord]()
    for trial in longest_front(trials, round.objective) if round.objective.several else ranked(trials):
        unique.setdefault(fingerprint(trial.pipeline), trial)
    if not unique:
        reasons = sorted({trial.failure["reason"] for trial in trials if trial.failure})
        raise NothingFeasible(f"no trial finished; reasons: {'; '.join(reasons[:3]) or 'none was run'}")
    every = list(unique.values())
    if round.context.teacher is None or not round.budget.choose_seeds:
        distilled = every
    else:
        distilled = [trial for trial in every if trial.spec.needs_teacher]
    return (distilled or every)[: round.budget.finalists]


def _train(round: Round, numbers: Sequence[int], seeds: Sequence[int]) -> dict[int, list[RunRecord]]:
    """Train trials on select's seeds, all at once."""
    trials = round.log.records.trials
    wanted = [
        round.wanted("select", f"trial {n}", trials[n].spec, seed=round.derive("select", i))
        for n in numbers
        for i in seeds
    ]
    runs = round.runner.train(wanted)
    return {n: runs[k * len(seeds) : (k + 1) * len(seeds)] for k, n in enumerate(numbers)}


def _means(round: Round, trial: TrialRecord, runs: Sequence[RunRecord]) -> tuple[float, ...]:
    """Means over seeds in each objective, more is better; a run that failed counts each metric's worst."""
    worst = {name: metric.worst for name, metric in METRICS.items()}
    values = [round.objective.values(run.score, worst if run.failure else run.metrics, trial.cost) for run in runs]
    return tuple(float(mean) for mean in np.mean(values, axis=0))


def _candidate(
    trial: TrialRecord,
    standing: Standing,
    objectives: Mapping[str, float] | None = None,
    on_front: bool | None = None,
) -> Candidate:
    return Candidate(
        trial=trial.number,
        scores=standing.counted,
        mean=standing.mean,
        dropped_after=standing.dropped_after,
        tied=standing.tied,
        losses=len(trial.pipeline["losses"]),
        params=trial.cost["params"],
        macs=trial.cost["macs"],
        objectives=objectives or {},
        on_front=on_front,
    )


def _scores(runs: Sequence[RunRecord]) -> list[float | None]:
    return [None if run.failure else run.score for run in runs]
