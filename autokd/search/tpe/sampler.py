"""Optuna's TPE as a pure function of the study's records.

Each ask builds an in-memory Optuna study from the records and throws it away, so nothing depends on a sampler's state.
Told trials cannot be reopened, and TPE sorts COMPLETE before PRUNED before RUNNING; so all trials are shown at one
common rung: those that reached it as COMPLETE with their score there, shorter ones as PRUNED with their last score,
failed ones as PRUNED with a violated constraint (FAIL would be ignored, and the sampler would go back to the corner),
and those whose first rung is under way as RUNNING. Suggestions that were refused because their student exceeds the
budget are shown like failed trials.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import _split_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autokd.objective import ACCURACY, Objective
from autokd.ranges import Choice, Integer, Range, Real
from autokd.seeds import derive
from autokd.space import Drawn, Space
from autokd.study.pareto import finished_best_first, values_at
from autokd.study.ranking import common_rung
from autokd.study.records import Refused, TrialRecord

SEEN_BEST, SEEN_LATEST = 25, 75
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
    told = [(before, draw) for before, draws in sorted((refused or {}).items()) for draw in draws if before < number]
    study = optuna_study(space, seen(list(trials), objective), told[-SEEN_REFUSED:], objective)
    sampler = _Sampler(study, derive(seed, "tpe", number) % 2**32, refused=len(told[-SEEN_REFUSED:]))
    while True:
        yield space.draw(_Suggested(study, sampler), number)


class _Suggested:
    """Draws one candidate's values as Optuna would suggest them, without keeping the candidate in the study.

    Args:
      study: holds the trials.
      sampler: suggests.
    """

    def __init__(self, study: optuna.Study, sampler: _Sampler) -> None:
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


def good(count: int) -> int:
    """Return how many of so many trials TPE takes for good ones: Optuna's own default, a tenth and at most 25."""
    return min(math.ceil(0.1 * count), SEEN_BEST)


class _Sampler(optuna.samplers.TPESampler):
    """TPE for one ask, of one or several objectives: all candidates are drawn from the same trials.

    So these are split and each density is estimated once, and suggestions are drawn ahead in growing blocks, since a
    call of numpy costs more than what it computes here. The first candidate is the one that TPE itself would suggest.

    Args:
      study: holds the trials.
      seed: of all candidates.
      refused: how many of the trials were never run; they do not make the group of good ones larger.
    """

    def __init__(self, study: optuna.Study, seed: int, refused: int = 0) -> None:
        super().__init__(seed=seed, n_startup_trials=1, n_ei_candidates=EI_CANDIDATES)
        trials = study.get_trials(deepcopy=False)
        over = sum(trial.state != TrialState.RUNNING for trial in trials)  # rungs under way count as bad ones
        self._good, self._bad = _split_trials(study, trials, good(over - refused))
        self._ahead: dict[tuple[str, ...], Iterator[dict[str, Any]]] = {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE's own, which then leaves word for other processes."""
        return self._sample_relative(study, trial, search_space)

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        paths = tuple(search_space)
        if paths not in self._ahead:
            self._ahead[paths] = self._suggestions(study, search_space)
        return next(self._ahead[paths])

    def _suggestions(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> Iterator[dict[str, Any]]:
        """Yield the best of so many draws from the good density, again and again."""
        good = self._build_parzen_estimator(study, search_space, self._good, handle_below=True)
        bad = self._build_parzen_estimator(study, search_space, self._bad, handle_below=False)
        for block in itertools.chain((1, 2, 4), itertools.repeat(8)):
            samples = good.sample(self._rng.rng, block * self._n_ei_candidates)
            gains = self._compute_acquisition_func(samples, good, bad).reshape(block, -1)
            for index in gains.argmax(1) + self._n_ei_candidates * np.arange(block):
                yield {path: span.to_external_repr(samples[path][index].item()) for path, span in search_space.items()}


def seen(trials: list[TrialRecord], objective: Objective = ACCURACY) -> list[TrialRecord]:
    """Return the trials that TPE is shown, in order: the best at the common rung, and the latest of the rest."""
    over = [trial for trial in trials if trial.params is not None]
    rung = common_rung(trials)
    best = {trial.number for trial in finished_best_first(over, rung, objective)[:SEEN_BEST]}
    latest = {trial.number for trial in [t for t in over if t.number not in best][-SEEN_LATEST:]}
    return [trial for trial in over if trial.number in best | latest]


def optuna_study(
    space: Space,
    trials: Iterable[TrialRecord],
    refused: Sequence[tuple[int, Refused]] = (),
    objective: Objective = ACCURACY,
) -> optuna.Study:
    """Return an in-memory Optuna study that shows the trials at their common rung, and what was refused.

    It cannot be added to. All objectives are maximised.
    """
    with quiet_optuna():
        return optuna.create_study(
            directions=[StudyDirection.MAXIMIZE] * len(objective.names),
            storage=_Shown(shown(space.ranges(), list(trials), refused, objective)),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )


class _Shown(optuna.storages.InMemoryStorage):
    """Holds the trials of one study as they are: copying them takes longer than an ask.

    Args:
      trials: in order; they are numbered.
    """

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._shown = trials
        for number, trial in enumerate(trials):
            trial.number = trial._trial_id = number

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


def shown(
    ranges: Mapping[str, Range],
    trials: list[TrialRecord],
    refused: Sequence[tuple[int, Refused]] = (),
    objective: Objective = ACCURACY,
) -> list[FrozenTrial]:
    """Return the trials as the sampler sees them, in order; trials outside the space are left out.

    Args:
      ranges: of the space's parameters.
      trials: in order.
      refused: each with the number of the trial that it came before.
      objective: what the study is to be good at.
    """
    rung = common_rung(trials)
    told = [(trial.number, 1, frozen(ranges, trial, rung, objective)) for trial in trials if trial.params is not None]
    told += [(before, 0, _infeasible(ranges, draw)) for before, draw in refused]
    return [found for *_, found in sorted(told, key=lambda row: row[:2])]


def distribution(span: Range) -> BaseDistribution:
    """Return Optuna's form of a range."""
    if isinstance(span, Real):
        return FloatDistribution(span.low, span.high, log=span.log)
    if isinstance(span, Integer):
        return IntDistribution(span.low, span.high, log=span.log, step=span.step)
    assert isinstance(span, Choice)
    return CategoricalDistribution(span.options)


def frozen(ranges: Mapping[str, Range], trial: TrialRecord, rung: int, objective: Objective = ACCURACY) -> FrozenTrial:
    """Return a trial as Optuna has it.

    Optuna takes no intermediate values beside several objectives; shorter trials then count as equally bad.
    """
    params, reached = dict(trial.params or {}), [] if objective.several else trial.rungs[: rung + 1]
    common: dict[str, Any] = {
        "params": params,
        "distributions": {path: distribution(ranges[path]) for path in params},
        "user_attrs": {"number": trial.number, "source": trial.source},
        "intermediate_values": {r.rung: r.score for r in reached},
    }
    if trial.failure is not None:
        return optuna.trial.create_trial(state=TrialState.PRUNED, constraints={trial.failure["kind"]: 1.0}, **common)
    if len(trial.rungs) > rung:
        values = values_at(objective, trial, trial.rungs[rung])
        return optuna.trial.create_trial(state=TrialState.COMPLETE, values=values, **common)
    return optuna.trial.create_trial(state=TrialState.PRUNED if trial.rungs else TrialState.RUNNING, **common)


def _infeasible(ranges: Mapping[str, Range], refused: Refused) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.PRUNED,
        params=dict(refused.params),
        distributions={path: distribution(ranges[path]) for path in refused.params},
        constraints={"budget": refused.excess - 1},
    )


class quiet_optuna(warnings.catch_warnings):
    """Silence Optuna's experimental warnings and its log line for every study made."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def __exit__(self, *error: Any) -> None:
        optuna.logging.set_verbosity(self._level)
        super().__exit__(*error)
