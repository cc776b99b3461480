"""`--time` as a plan: how long runs may be, on how much data, so that the whole study fits into the time.

The plan is made once, before a study's first trial, from what training a sample costs on this machine, and is recorded
with the study. What it cannot foresee the clock settles (`autokd.search.timing.clock`): explore goes on for as long as
confirm can follow, and confirm takes as many seeds as the time left bears.

Given little time, the plan shortens confirm, then the runs, then the training set, in this order, as far as each may
go. Given more than the space file's own budget takes, runs get longer, up to `LONGER` times, and the rest is trials.
"""

from __future__ import annotations

import bisect
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from autokd.search.timing.measure import Probe, measure_costs
from autokd.search.work import Costs, Funnel, Scope, Sizes, sizes_of, total_seconds
from autokd.space import Budget
from autokd.study.settings import TimePlan

LONGER = 4
"""Times the space file's own epochs, at most."""
SHORT = 6
"""Epochs from which on a smaller training set is preferred to shorter runs."""
TEACHER_SHARE = 0.15
"""Of the time that a teacher's training may take."""
ASIDE, ASIDE_SHARE = 4.0, 0.03
"""Seconds, and a share of the time, kept for screening, asks and the records."""


class Fitted(NamedTuple):
    """A budget and the number of training samples that fit, and whether there is time for confirm's grid."""

    budget: Budget
    samples: int
    grid: bool


class _Level(NamedTuple):
    """How thorough a study is.

    Args:
      budget: its numbers; confirm's runs are as many times longer than explore's as here.
      grid: confirm tunes learning rate and loss weights.
      epochs: (fewest, most) of explore's longest runs.
      samples: fewest training samples.
    """

    budget: Budget
    grid: bool
    epochs: tuple[int, int]
    samples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study is expected to take.

    Args:
      funnel: what the stages will do.
      sizes: of the data.
      costs: measured.
    """

    funnel: Funnel
    sizes: Sizes
    costs: Costs

    def seconds(self, budget: Budget, samples: int, *, grid: bool) -> float:
        """Return the expected wall time of all stages on so many training samples."""
        works = self.funnel.works(Scope(budget=dataclasses.replace(budget, grid=grid)))
        return total_seconds(works, self.sizes, samples, self.costs, self.funnel.parallel)


def fit(seconds: float, own: Budget, estimate: Estimate, *, may_limit: bool = True) -> Fitted:
    """Return the most thorough study that fits into a time.

    Args:
      seconds: left for teacher, explore and confirm.
      own: the space file's budget.
      estimate: says what a study takes.
      may_limit: whether fewer training samples may be taken than there are.
    """
    aside = ASIDE + ASIDE_SHARE * seconds
    teaching = TEACHER_SHARE * seconds if estimate.costs.teacher else 0.0
    levels = list(_levels(own, estimate.sizes, may_limit))
    level, epochs, samples = next(_fitting(seconds - aside - teaching, levels, estimate))
    budget = dataclasses.replace(
        _at(level.budget, epochs), teacher_epochs=_teacher_epochs(teaching, own.teacher_epochs, samples, estimate)
    )
    return Fitted(budget, samples, level.grid)


def _teacher_epochs(seconds: float, own: int, samples: int, estimate: Estimate) -> int:
    """Return the full length of a default teacher's trainings that fits into a time: at least 1, at most its own."""
    costs, validation = estimate.costs, estimate.sizes.validation
    lengths = (e for e in range(own, 1, -1) if costs.teacher_seconds(e, samples, validation) <= seconds)
    return next(lengths, 1) if costs.teacher else own


def _fitting(left: float, levels: Sequence[_Level], estimate: Estimate) -> Iterator[tuple[_Level, int, int]]:
    """Yield (level, epochs, samples) that fit, the most thorough one first, and at last what is smallest."""
    train = estimate.sizes.train
    for level in levels:
        fewest, most = level.epochs

        def takes(epochs: int, samples: int, level: _Level = level) -> float:
            return estimate.seconds(_at(level.budget, epochs), samples, grid=level.grid)

        for epochs in range(most, fewest - 1, -1):
            if takes(epochs, train) <= left:
                yield level, epochs, train
        samples = _rounded(bisect.bisect_right(range(train), left, key=lambda n: takes(fewest, n)) - 1)
        if level.samples <= samples:
            yield level, fewest, samples
    yield levels[-1], levels[-1].epochs[0], levels[-1].samples


def _levels(own: Budget, sizes: Sizes, may_limit: bool) -> Iterator[_Level]:
    """From the space file's own budget to the least that tells anything."""
    some, few = (
        min(sizes.train, max(least, each * sizes.classes)) if may_limit else sizes.train
        for least, each in ((4000, 100), (500, 20))
    )
    short = min(SHORT, own.epochs)
    light = dataclasses.replace(
        own,
        trials=min(own.trials, 30),
        select_seeds=min(own.select_seeds, 2),
        claim_seeds=min(own.claim_seeds, 3),
    )
    least = dataclasses.replace(light, trials=min(own.trials, 12), finalists=min(own.finalists, 2))
    yield _Level(own, True, (own.epochs, LONGER * own.epochs), sizes.train)
    yield _Level(light, True, (short, own.epochs), some)
    yield _Level(least, False, (short, short), few)


def _at(budget: Budget, epochs: int) -> Budget:
    """The budget with longest runs of so many epochs, confirm's in proportion."""
    return dataclasses.replace(budget, epochs=epochs)


def _rounded(value: float) -> int:
    """Two significant digits, rounded down; a plan made again is then likely the same one."""
    if value < 1:
        return 0
    step = int(10 ** max(0, len(str(int(value))) - 2))
    return int(value) // step * step


def make_time_plan(
    seconds: float, left: float, own: Budget, probe: Probe, funnel: Funnel, *, may_limit: bool
) -> TimePlan:
    """Measure what training costs here, and return the plan.

    Args:
      seconds: asked for.
      left: of them.
      own: the space file's budget.
      probe: what is measured, on all the data.
      funnel: what the stages will do.
      may_limit: whether the training set may be made smaller.
    """
    began = time.monotonic()
    estimate = Estimate(funnel=funnel, sizes=sizes_of(probe.data), costs=measure_costs(probe))
    left -= time.monotonic() - began
    fitted = fit(left, own, estimate, may_limit=may_limit)
    limited = fitted.samples < estimate.sizes.train
    before, after = dataclasses.asdict(own), dataclasses.asdict(fitted.budget)
    return TimePlan(
        seconds=seconds,
        budget={key: value for key, value in after.items() if value != before[key]},
        limit_train=fitted.samples if limited else None,
        whole_data=probe.data.task.fingerprint if limited else None,
        teacher_epochs=own.teacher_epochs,
        grid=fitted.grid,
        reason=_reason(fitted, own, estimate.sizes, probe.teacher is None),
        whole_train=estimate.sizes.train if limited else None,
    )


def _reason(fitted: Fitted, own: Budget, sizes: Sizes, teaches: bool) -> str:
    budget = fitted.budget
    of = "" if budget.epochs == own.epochs else f" in place of {own.epochs}"
    parts = [f"about {budget.trials} trials of up to {budget.epochs} epochs{of}"]
    if fitted.samples < sizes.train:
        parts.append(f"{fitted.samples:,} of {sizes.train:,} training samples (full training takes them all)")
    if teaches and budget.teacher_epochs != own.teacher_epochs:
        parts.append(f"a teacher of {budget.teacher_epochs} epochs in place of {own.teacher_epochs}")
    return "; ".join(parts)
