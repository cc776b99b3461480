"""A trial as dashboards are to see it: our number, when it began and ended, and values as people count them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from autokd.objective import Objective
from autokd.ranges import Range
from autokd.search.tpe.trials import distribution, violated
from autokd.study.pareto import values_at
from autokd.study.records import TrialRecord

STATES = {"complete": TrialState.COMPLETE, "failed": TrialState.PRUNED, "running": TrialState.RUNNING}
"""Optuna's states of ours; a shorter trial is pruned once nobody goes on with it, and till then it runs."""


def mirrored_trial(
    ranges: Mapping[str, Range], trial: TrialRecord, top: int, objective: Objective, *, over: bool
) -> FrozenTrial:
    """Return a trial as dashboards are to see it.

    A trial outside the space has no parameters. Optuna takes no intermediate values beside several objectives.

    Args:
      ranges: of the space's parameters.
      trial: the trial.
      top: index of the longest rung.
      objective: what the study is to be good at.
      over: nobody goes on with trials that stopped early.
    """
    paused = TrialState.PRUNED if over else TrialState.RUNNING
    state, params = STATES.get(trial.state(top), paused), dict(trial.params or {})
    rungs = () if objective.several else trial.rungs
    made = optuna.trial.create_trial(
        state=state,
        values=_values(objective, trial) if state == TrialState.COMPLETE else None,
        params=params,
        distributions={path: distribution(ranges[path]) for path in params},
        user_attrs=_facts(trial),
        intermediate_values={rung.rung: objective.metric.value(rung.score) for rung in rungs},
        constraints=violated(trial),
    )
    made.datetime_start = _local(trial.began) or made.datetime_start
    made.datetime_complete = _ended(trial, made)
    return made


def _ended(trial: TrialRecord, made: FrozenTrial) -> datetime | None:
    return (_local(trial.ended) or made.datetime_complete) if made.state.is_finished() else None


def _values(objective: Objective, trial: TrialRecord) -> list[float]:
    return list(objective.shown(values_at(objective, trial, trial.rungs[-1])).values())


def _facts(trial: TrialRecord) -> dict[str, Any]:
    """What else there is to know: of a failed one also why."""
    why = {} if trial.failure is None else {"failure": trial.why_failed}
    return {"number": trial.number, "source": trial.source, **why}


def _local(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as Optuna keeps times: local, without a zone."""
    return None if seconds is None else datetime.fromtimestamp(seconds)
