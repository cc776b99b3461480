"""Optuna's TPE as a pure function of the study's records.

Each ask builds an in-memory Optuna study from the records and throws it away, so nothing depends on a sampler's state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from autokd.objective import ACCURACY, Objective
from autokd.search.tpe.borrowed import MOST_GOOD, AskSampler
from autokd.search.tpe.trials import optuna_study
from autokd.seeds import derive
from autokd.space import Drawn, Space
from autokd.study.pareto import finished_best_first
from autokd.study.ranking import common_rung
from autokd.study.records import Refused, TrialRecord

SEEN_BEST, SEEN_LATEST = MOST_GOOD, 75
"""Trials that TPE is shown of a long study. It takes at most 25 for good, and hardly weighs old ones among the rest;
but its time grows with their number."""
EI_CANDIDATES = 4
"""Draws from the good trials' density of which TPE suggests the most promising. With Optuna's 24 it comes back to the
same few pipelines too soon where scores are noisy; see benchmarks/replay/README.md."""
SEEN_REFUSED = 50
"""The latest refused suggestions that TPE is shown; all that they tell it is where the budget ends."""


def candidates(
    space: Space,
    trials: Iterable[TrialRecord],
    *,
    seed: int,
    number: int,
    refused: Mapping[int, Sequence[Refused]] | None = None,
    objective: Objective = ACCURACY,
) -> Iterator[Drawn]:
    """Yield TPE's suggestions for one trial number, without end.

    Args:
      space: the resolved space.
      trials: the study's trials so far.
      seed: the study's seed.
      number: of the trial to be asked.
      refused: what was refused before the trials so far, by their number.
      objective: what the study is to be good at.
    """
    draws = [(before, draw) for before, draws in sorted((refused or {}).items()) for draw in draws if before < number]
    latest = draws[-SEEN_REFUSED:]
    study = optuna_study(space.ranges(), select_trials(list(trials), objective), latest, objective)
    sampler = AskSampler(study, derive(seed, "tpe", number) % 2**32, draws=EI_CANDIDATES, refused=len(latest))
    while True:
        yield space.draw(_Suggestion(study, sampler), number)


class _Suggestion:
    """Draws one candidate's values as Optuna would suggest them, without keeping the candidate in the study.

    Args:
      study: holds the trials.
      sampler: suggests.
    """

    def __init__(self, study: optuna.Study, sampler: AskSampler) -> None:
        self._study, self._sampler = study, sampler
        self._trial = optuna.trial.create_trial(state=TrialState.RUNNING)
        joint = sampler.infer_relative_search_space(study, self._trial)
        self._joint = sampler.sample_relative(study, self._trial, joint)

    def real(self, path: str, low: float, high: float, log: bool) -> Any:
        return self._value(path, FloatDistribution(low, high, log=log))

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> Any:
        return self._value(path, IntDistribution(low, high, log=log, step=step))

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        return self._value(path, CategoricalDistribution(options))

    def _value(self, path: str, span: BaseDistribution) -> Any:
        if path in self._joint:
            return self._joint[path]
        return self._sampler.sample_independent(self._study, self._trial, path, span)


def select_trials(trials: list[TrialRecord], objective: Objective = ACCURACY) -> list[TrialRecord]:
    """Return the trials that TPE is shown, in order: the best at the common rung, and the latest of the rest."""
    over = [trial for trial in trials if trial.params is not None]
    rung = common_rung(trials)
    best = {trial.number for trial in finished_best_first(over, rung, objective)[:SEEN_BEST]}
    latest = {trial.number for trial in [t for t in over if t.number not in best][-SEEN_LATEST:]}
    return [trial for trial in over if trial.number in best | latest]
