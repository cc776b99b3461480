"""The records as Optuna's trials, and as a study of it.

Told trials cannot be reopened, and TPE sorts COMPLETE before PRUNED before RUNNING; so all trials are shown at one
common rung: those that reached it as COMPLETE with their score there, shorter ones as PRUNED with their last score,
failed ones as PRUNED with a violated constraint (FAIL would be ignored, and the sampler would go back to the corner),
and those whose first rung is under way as RUNNING. Suggestions that were refused because their student exceeds the
budget are shown like failed trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autokd.objective import ACCURACY, Objective
from autokd.ranges import Choice, Integer, Range, Real
from autokd.search.tpe.borrowed import number_trials
from autokd.study.failures import kind_of
from autokd.study.pareto import values_at
from autokd.study.ranking import common_rung
from autokd.study.records import Refused, TrialRecord


def optuna_study(
    ranges: Mapping[str, Range],
    trials: Iterable[TrialRecord],
    refused: Sequence[tuple[int, Refused]] = (),
    objective: Objective = ACCURACY,
) -> optuna.Study:
    """Return an in-memory Optuna study that shows the trials at their common rung, and what was refused.

    It cannot be added to. All objectives are maximised.

    Args:
      ranges, trials, refused, objective: see `trials_for_tpe`.
    """
    with quiet_optuna():
        return optuna.create_study(
            directions=[StudyDirection.MAXIMIZE] * len(objective.names),
            storage=FixedTrials(trials_for_tpe(ranges, list(trials), refused, objective)),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )


def trials_for_tpe(
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
    inside = [trial for trial in trials if trial.params is not None]
    rows = [(trial.number, 1, as_frozen_trial(ranges, trial, rung, objective)) for trial in inside]
    rows += [(before, 0, _as_infeasible_trial(ranges, draw)) for before, draw in refused]
    return [trial for *_, trial in sorted(rows, key=lambda row: row[:2])]


def distribution(span: Range) -> BaseDistribution:
    """Return Optuna's form of a range."""
    if isinstance(span, Real):
        return FloatDistribution(span.low, span.high, log=span.log)
    if isinstance(span, Integer):
        return IntDistribution(span.low, span.high, log=span.log, step=span.step)
    assert isinstance(span, Choice)
    return CategoricalDistribution(span.options)


def as_frozen_trial(
    ranges: Mapping[str, Range], trial: TrialRecord, rung: int, objective: Objective = ACCURACY
) -> FrozenTrial:
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
        return optuna.trial.create_trial(state=TrialState.PRUNED, constraints=violated(trial), **common)
    if len(trial.rungs) > rung:
        values = values_at(objective, trial, trial.rungs[rung])
        return optuna.trial.create_trial(state=TrialState.COMPLETE, values=values, **common)
    return optuna.trial.create_trial(state=TrialState.PRUNED if trial.rungs else TrialState.RUNNING, **common)


def violated(trial: TrialRecord) -> dict[str, float]:
    """Return the constraint that a failed trial violates, by the kind of its failure; none for any other."""
    return {kind_of(trial.failure): 1.0} if trial.failure is not None else {}


def _as_infeasible_trial(ranges: Mapping[str, Range], refused: Refused) -> FrozenTrial:
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


class FixedTrials(optuna.storages.InMemoryStorage):
    """Holds the trials of one study as they are: copying them takes longer than an ask.

    Args:
      trials: in order; they are numbered.
    """

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._trials = trials
        number_trials(trials)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials themselves, of some states where these are given."""
        return [trial for trial in self._trials if states is None or trial.state in states]
