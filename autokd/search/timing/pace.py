"""How long an epoch of a pipeline takes, from the trials of a study.

The logarithm of the seconds an epoch is a sum: a level, a slope times the logarithm of the student's MACs (or of what
a training step of it was measured to take, where that is known of all trials) and of the batch size, and one effect for
each component that some pipelines have and others do not. With few trials the effects stay near zero and the slopes
near what is usual, so one trial is enough for an answer. Where a peer trains beside the student, a step is taken for
one of each.

Measured seconds differ from machine to machine and from one run to the next. What they decide is not repeated
elsewhere, and where a killed search must go on to the same trials they may decide nothing that was not recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.study.records import TrialRecord

STEP = "step"
"""Name of a trial's cost: measured milliseconds of a training step of its student."""
MACS, STEPS, BATCH = "log macs", "log step", "log batch size"
USUAL = {MACS: 0.5, STEPS: 0.8, BATCH: -0.3}
"""Slopes before anything is known: small networks and small batches leave the processor waiting."""
SPREAD = {MACS: 0.3, STEPS: 0.3, BATCH: 0.3}
"""How far a slope may lie from the usual, as a standard deviation."""
EFFECT = 0.4
"""The same for the effect of a component, in natural logarithms."""
NOISE = 0.2
"""Standard deviation of a trial's logarithm that nothing explains."""


@dataclass(frozen=True, kw_only=True)
class SecondsModel:
    """Seconds an epoch, fitted to trials.

    Args:
      level: logarithm of the seconds an epoch where all features are at `centre`.
      effects, centre: of each feature, by name.
    """

    level: float
    effects: Mapping[str, float]
    centre: Mapping[str, float]

    def per_epoch(self, pipeline: Mapping[str, Any], cost: Mapping[str, float]) -> float:
        """Return the expected seconds of one epoch, > 0.

        Args:
          pipeline: plain.
          cost: with "macs", the student's multiply-adds for one sample, or "trained_macs", those of all that trains.
        """
        features = _features(pipeline, cost)
        apart = ((slope, features.get(name, 0.0) - self.centre[name]) for name, slope in self.effects.items())
        return step_load(cost) * math.exp(self.level + sum(slope * distance for slope, distance in apart))


def step_load(cost: Mapping[str, float]) -> float:
    """Return what a step of a pipeline takes in steps of its student alone: 1, and above with a peer.

    >>> step_load({"macs": 1e6}), step_load({"macs": 1e6, "trained_macs": 2e6})
    (1.0, 2.0)
    """
    others = cost.get("trained_macs", cost["macs"]) - cost["macs"]
    return 1.0 + (others / max(cost["macs"], 1.0)) ** USUAL[MACS] if others else 1.0


def seconds_model(trials: Iterable[TrialRecord], *, by_step: bool = False) -> SecondsModel | None:
    """Fit the model to all trials that finished a rung; None where there is none.

    A ridge regression on logarithms in closed form, so the same trials give the same model: Gaussian effects around
    `USUAL` with `SPREAD` and `EFFECT`, and noise of `NOISE`.

    Args:
      trials: of one study; each counts with its seconds over its epochs, so that what only a first epoch costs (the
        teacher's outputs) weighs less in long ones.
      by_step: whether measured steps stand in place of MACs; all trials have them then.
    """
    timed = [trial for trial in trials if trial.rungs and trial.seconds > 0]
    if not timed:
        return None
    features = [_features(trial.pipeline, trial.cost if by_step else _unmeasured(trial.cost)) for trial in timed]
    names = sorted(set().union(*features))
    matrix = _matrix(features, names)
    values = np.log([trial.seconds / trial.rungs[-1].epochs / step_load(trial.cost) for trial in timed])
    effects = _ridge(matrix - matrix.mean(0), values - values.mean(), names)
    return SecondsModel(
        level=float(values.mean()),
        effects=dict(zip(names, effects.tolist(), strict=True)),
        centre=dict(zip(names, matrix.mean(0).tolist(), strict=True)),
    )


def expected_seconds(
    trials: Iterable[TrialRecord], pipeline: Mapping[str, Any], cost: Mapping[str, float], epochs: float
) -> float | None:
    """Return how long so many epochs of a pipeline are expected to take, in seconds; None before any trial.

    Args:
      trials: of the study so far; see `seconds_model`, which is cheaper for many pipelines.
      pipeline: plain.
      cost: {"macs": …}, as in a trial's record; with "step" the measured steps count, if all trials have them.
      epochs: >= 0.
    """
    timed = [trial for trial in trials if trial.rungs]
    by_step = all(STEP in each for each in (cost, *(trial.cost for trial in timed)))
    model = seconds_model(timed, by_step=by_step)
    return None if model is None else epochs * model.per_epoch(pipeline, cost if by_step else _unmeasured(cost))


def _unmeasured(cost: Mapping[str, float]) -> dict[str, float]:
    """A cost without the measured step."""
    return {name: value for name, value in cost.items() if name != STEP}


def _matrix(features: Sequence[Mapping[str, float]], names: Sequence[str]) -> NDArray[np.float64]:
    """The features as an array, [trials, names]; what a pipeline does not have is 0."""
    return np.array([[row.get(name, 0.0) for name in names] for row in features])


def _ridge(matrix: NDArray[np.float64], values: NDArray[np.float64], names: list[str]) -> NDArray[np.float64]:
    """Return the effects of centred features on centred values."""
    usual = np.array([USUAL.get(name, 0.0) for name in names])
    penalty = np.diag([(NOISE / SPREAD.get(name, EFFECT)) ** 2 for name in names])
    effects: NDArray[np.float64] = np.linalg.solve(matrix.T @ matrix + penalty, matrix.T @ values + penalty @ usual)
    return effects


def _features(pipeline: Mapping[str, Any], cost: Mapping[str, float]) -> dict[str, float]:
    present = [f"{slot}={use}" for slot, part in pipeline.items() if isinstance(part, Mapping) for use in _used(part)]
    size = {STEPS: math.log(cost[STEP])} if STEP in cost else {MACS: math.log(max(cost["macs"], 1.0))}
    return {**size, BATCH: math.log(pipeline["batch_size"]), **dict.fromkeys(present, 1.0)}


def _used(part: Mapping[str, Any]) -> list[str]:
    """Names of the components of a slot, of which there may be several."""
    return [part["use"]] if "use" in part else [component["use"] for component in part.values()]
