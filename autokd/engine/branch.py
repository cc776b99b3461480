"""The side branch on which a rung may be scored: the run does not know of it, and its learning rate falls to 0."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

from autokd.engine.batches import draw_batches
from autokd.engine.context import TrainContext
from autokd.engine.rung import Epoch, Rung, never
from autokd.engine.step import LiveRun, train_step
from autokd.seeds import derive, seed_torch
from autokd.spec import PipelineSpec

BRANCH_STEPS = 4
"""Fewest steps of a branch."""


def train_branch(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, rung: Rung, stop: Callable[[], bool] = never
) -> bool:
    """Train on, on the batches that come next, while the learning rate falls to 0: a short branch off a run.

    The run is changed and does not go on from there. It never leaves its horizon.

    Args:
      context, spec: of the run.
      run: at the end of the rung.
      rung: that rung; its `branch` is the length as a share of the steps so far, at least `BRANCH_STEPS`.
      stop: asked after each epoch whether to leave the branch there.
    Returns:
      Whether the branch came to its end.
    """
    size = len(context.data.train)
    horizon, done = rung.horizon // size, rung.until // size
    before, whole = run.passes.steps_until(done), run.passes.steps_until(horizon)
    steps = min(max(BRANCH_STEPS, round(rung.branch * done * (before / max(1, done)))), whole - before)
    taken, schedule = 0, run.schedule
    falling = dataclasses.replace(run, schedule=lambda u: schedule(u) * (1 - (taken + 0.5) / steps))
    for number in range(done, horizon):
        if taken == steps:
            break
        seed_torch(derive(rung.seed, "dropout", number))
        batches = draw_batches(context, spec, falling, Epoch(number, horizon, rung.seed, rung.view_seed))
        for batch, answered, u in itertools.islice(batches, steps - taken):
            train_step(falling, batch, answered, u, context.profile)
            taken += 1
        if taken < steps and stop():
            return False
    return True
