"""Select: the finalists race over seeds, on validation; among tied ones the simpler is chosen.

The number of seeds comes from the study's noise (`autokd.study.noise`) and is recorded before the first run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autokd.errors import NothingFeasible
from autokd.metrics import METRICS
from autokd.search.confirm.racing import Standing, choose, choose_of_front, race
from autokd.search.confirm.round import Round
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.spec import fingerprint
from autokd.study.choice import Candidate, Choice
from autokd.study.design import Design
from autokd.study.noise import STRETCH
from autokd.study.pareto import longest_front
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
        return [
            Work(
                stage=self.name,
                runs=runs,
                most=STRETCH * runs,
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=runs,
            )
        ]

    def run(self, session: Session) -> None:
        """Choose, unless the newest claim is about all trials."""
        if not session.is_claimed:
            session.tell_confirm()
            choose_trial(Round.of(session))


def choose_trial(round: Round) -> TrialRecord:
    """Return the trial that is chosen, from the records or after a race.

    Raises:
      NothingFeasible: no trial finished.
    """
    trials = round.log.records.trials
    choice = next((c for c in reversed(round.log.records.choices) if c.round == round.number), None)
    if choice is None or choice.trials not in (None, len(trials)):
        choice = _compare_front(round) if round.objective.several else _race(round)
    return trials[choice.trial]


def _race(round: Round) -> Choice:
    finalists, design = _planned_finalists(round)
    if len(finalists) == 1 and round.clock.limit is not None:  # there is nothing to choose
        standings = {finalists[0].number: Standing([finalists[0].score], None, True)}
    else:
        standings = race(
            [trial.number for trial in finalists],
            lambda numbers, seeds: {n: _scores(runs) for n, runs in _train(round, numbers, seeds).items()},
            most=design.seeds,
            noise=design.noise,
            resolution=1 / len(round.context.data.validation),
            worst=round.objective.metric.worst_score,
        )
    best, reason = choose(finalists, standings, round.objective.metric)
    return _record(round, best, [_candidate(trial, standings[trial.number]) for trial in finalists], design, reason)


def _compare_front(round: Round) -> Choice:
    """Train the finalists of a study of several objectives under the same seeds; none is stopped early."""
    finalists, design = _planned_finalists(round)
    runs = _train(round, [trial.number for trial in finalists], range(design.seeds))
    means = {trial.number: _means(round, trial, runs[trial.number]) for trial in finalists}
    best, front, standings, reason = choose_of_front(
        finalists,
        {number: _scores(row) for number, row in runs.items()},
        means,
        objective=round.objective,
        noise=design.noise,
        resolution=1 / len(round.context.data.validation),
    )
    candidates = [
        _candidate(
            trial,
            standings[trial.number],
            objectives=round.objective.shown(means[trial.number]),
            on_front=trial.number in front,
        )
        for trial in finalists
    ]
    return _record(round, best, candidates, design, reason)


def _record(round: Round, best: TrialRecord, candidates: Sequence[Candidate], design: Design, reason: str) -> Choice:
    choice = Choice(
        round=round.number,
        trials=len(round.log.records.trials),
        trial=best.number,
        candidates=tuple(candidates),
        most_seeds=design.seeds,
        reason=reason,
    )
    round.log.append("choice", **choice.to_plain())
    return choice


def _planned_finalists(round: Round) -> tuple[list[TrialRecord], Design]:
    """The finalists that the time left bears, and the design of select."""
    every = find_finalists(round)
    bearable = round.bearable(every, SHARE)
    design = round.design(
        "select",
        arms=min(len(every), max(1, bearable)),
        least=round.budget.select_seeds,
        most=max(1, bearable // len(every)),
    )
    return every[: design.arms], design


def find_finalists(round: Round) -> list[TrialRecord]:
    """Return the trials that select compares: the best, or with several objectives those of the front.

    Raises:
      NothingFeasible: no trial finished.
    """
    trials, unique = round.log.records.trials.values(), dict[str, TrialRecord]()
    for trial in longest_front(trials, round.objective) if round.objective.several else ranked(trials):
        unique.setdefault(fingerprint(trial.pipeline), trial)
    if not unique:
        reasons = sorted({trial.failure["reason"] for trial in trials if trial.failure})
        raise NothingFeasible(f"no trial finished; reasons: {'; '.join(reasons[:3]) or 'none was run'}")
    distilled = [trial for trial in unique.values() if not trial.is_alone] or list(unique.values())
    return distilled[: round.budget.finalists]


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
