"""`--time` as a plan: how long runs are, how many pipelines are tried and on how many seeds they are compared.

All of it follows from how many hand runs the time bears (`autokd.search.timing.levels`), a hand run being a full-length
run of vanilla KD as a person would set it up, measured here. Where they are few, trials go first, then seeds and the
grid, then the length of runs, and the training set last. Where they are many, there are more seeds and at most
`MORE_TRIALS` times the space file's trials: hundreds of short ones more would find little.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

from autokd.engine.rung import run_samples
from autokd.search.rungs import rung_plan
from autokd.search.timing.levels import LEVELS, Level, applicable, shaped
from autokd.search.work import Costs, Funnel, Scope, Sizes, total_seconds
from autokd.space import Budget

ENOUGH = 20
"""Hand runs that the full length is shortened for."""
LEAST_EPOCHS, LEAST_STEPS, FIRST_STEPS = 20, 1_500, 150
"""The full length is not shortened below so many epochs or steps, whichever are fewer, while the time bears
`FEWEST_RUNS` of it; nor is the first rung."""
LONGER = 4
"""Times the space file's own epochs that runs may take, where a small training set needs them for `LEAST_STEPS` and
the time bears `MANY` of them."""
MANY = 48
"""Hand runs with which choice and claim have seeds of their own."""
FEWEST_RUNS = 3
"""Hand runs below which the training set is cut, and then the length: three recipes, the best of which goes on to the
end, and the teacher's answers take about so many."""
LEAST_SHARE = 0.5
"""Of the training set that is kept."""
VIEWS_SHARE = 0.05
"""Of the time that the teacher's answers to the views of one policy may take."""
LEAST_VIEWS = 4
"""Of a sample under a policy, whatever they take."""
MORE_TRIALS = 2
"""Times the space file's own trials, at most."""
TEACHER_SHARE = 0.25
"""Of the time that a teacher's training may take."""
TAUGHT_EPOCHS = 8
"""Of the default teacher's training; where a large network has not the time for them, a smaller one learns more."""
TRAIN_SHARE = 0.15
"""Of the time that is kept for the final training, where it was asked for."""
ASIDE, ASIDE_SHARE = 4.0, 0.03
"""Seconds, and a share of the time, kept for screening, asks and the records."""


class Fitted(NamedTuple):
    """A budget that fits, the level that it is of, and how many hand runs of its length the time bears."""

    budget: Budget
    level: Level
    hand_runs: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study is expected to take.

    Args:
      funnel: what the stages will do.
      sizes: of the data.
      costs: measured, of hand KD.
      batch: samples of a training step.
    """

    funnel: Funnel
    sizes: Sizes
    costs: Costs
    batch: int

    def seconds(self, budget: Budget, samples: int) -> float:
        """Return the expected wall time of all stages on so many training samples."""
        works = self.funnel.works(Scope(budget=budget))
        return total_seconds(works, self.sizes, samples, self.costs, self.funnel.parallel)

    def hand_seconds(self, epochs: int, samples: int) -> float:
        """Return what a full-length run of hand KD takes, its share of the workers."""
        run = run_samples(epochs, epochs, samples, self.sizes.validation)
        return self.costs.train * run / self.funnel.parallel.workers

    def steps(self, samples: int) -> int:
        """Return the training steps of an epoch."""
        return math.ceil(samples / self.batch)


class Asked(NamedTuple):
    """What the user asked for besides the time: trials and epochs where they were given, and whether to be quick."""

    trials: int | None = None
    epochs: int | None = None
    quick: bool = False


NOTHING = Asked()


def fit(left: float, own: Budget, estimate: Estimate, asked: Asked = NOTHING) -> Fitted:
    """Return the most thorough study that fits into a time.

    Args:
      left: seconds for explore and confirm.
      own: the space file's budget.
      estimate: says what a study takes on the data.
      asked: what is not to be changed.
    """
    samples = estimate.sizes.train
    epochs = asked.epochs or _full_length(left, own, estimate)
    runs = left / estimate.hand_seconds(epochs, samples)
    rungs = _rungs(epochs, own, estimate.steps(samples))
    budget = dataclasses.replace(own, epochs=epochs, rungs=rungs, views=_views(left, epochs, own, estimate))
    for level in applicable(runs):
        level = _quick(level) if asked.quick else level
        for trial_budget in _filled(shaped(budget, level, runs), level, asked):
            if estimate.seconds(trial_budget, samples) <= left:
                return Fitted(trial_budget, level, runs)
    *_, least = _filled(shaped(budget, LEVELS[-1], runs), LEVELS[-1], asked)
    return Fitted(least, LEVELS[-1], runs)


def _filled(budget: Budget, level: Level, asked: Asked) -> Iterator[Budget]:
    """The budget with fewer and fewer trials; below those of its recipes, with fewer recipes."""
    recipes = max(2, budget.recipes)
    if level.samples:
        most = asked.trials or MORE_TRIALS * budget.trials
        least = asked.trials or recipes
        yield from (dataclasses.replace(budget, trials=n) for n in range(most, least - 1, -1))
    for number in range(recipes, min(level.fewest, recipes) - 1, -1):
        trials = asked.trials or number
        yield dataclasses.replace(budget, recipes=number, trials=trials)


def _quick(level: Level) -> Level:
    """A level that chooses and claims on the same two seeds at most, without grid and ablation."""
    quick = {"grid": False, "ablation_seeds": 0, "fresh_claim": not level.changes["choose_seeds"]}
    return dataclasses.replace(level, changes={**level.changes, **quick})


def _full_length(left: float, own: Budget, estimate: Estimate) -> int:
    """The most epochs of which the time bears enough hand runs: more than the space file's own where it bears many."""
    samples = estimate.sizes.train
    steps = estimate.steps(samples)
    full = min(LONGER * own.epochs, max(own.epochs, math.ceil(LEAST_STEPS / steps)))
    least = least_epochs(own, steps)

    def bears(epochs: int) -> bool:
        runs = MANY if epochs > own.epochs else ENOUGH if epochs > least else FEWEST_RUNS
        return left >= runs * estimate.hand_seconds(epochs, samples)

    return next((epochs for epochs in range(full, 1, -1) if bears(epochs)), 1)


def least_epochs(own: Budget, steps: int) -> int:
    """Return the epochs that the full length is not shortened below, given the steps of one."""
    return max(1, min(own.epochs, LEAST_EPOCHS, math.ceil(LEAST_STEPS / steps)))


def _views(left: float, epochs: int, own: Budget, estimate: Estimate) -> int:
    """Views of a sample that the teacher is asked about: new ones in every epoch (0), or fewer where that is dear."""
    answering = estimate.costs.answer * estimate.sizes.train
    bears = max(LEAST_VIEWS, int(VIEWS_SHARE * left / answering)) if answering else epochs
    views = min(bears, own.views or epochs)
    return views if views < epochs else 0


def _rungs(epochs: int, own: Budget, steps: int) -> int:
    """The most rungs, at most the space file's, of which the first one has its least steps."""
    several = range(own.rungs, 1, -1)
    plans = {number: rung_plan(dataclasses.replace(own, epochs=epochs, rungs=number)) for number in several}
    return next((n for n, plan in plans.items() if len(plan) == n and plan[0] * steps >= FIRST_STEPS), 1)


def fitting_samples(left: float, own: Budget, estimate: Estimate) -> int:
    """Return how many training samples are used: all, or fewer where the time bears hardly a run of the least length.

    Args:
      left: seconds for explore and confirm.
      own: the space file's budget.
      estimate: says what a study takes on the data.
    """
    train = estimate.sizes.train

    def takes(samples: int) -> float:
        epochs = least_epochs(own, estimate.steps(max(1, samples)))
        return FEWEST_RUNS * estimate.hand_seconds(epochs, samples)

    if takes(train) <= left:
        return train
    fewest = math.ceil(LEAST_SHARE * train)
    return max(fewest, _rounded(bisect.bisect_right(range(train), left, key=takes) - 1))


def teacher_epochs(seconds: float, own: int, samples: int, estimate: Estimate) -> int:
    """Return the full length of a default teacher's trainings that fits into a time: at least 1, at most its own."""
    costs, validation = estimate.costs, estimate.sizes.validation
    lengths = (e for e in range(own, 1, -1) if costs.teacher_seconds(e, samples, validation) <= seconds)
    return next(lengths, 1) if costs.teacher else own


def _rounded(value: float) -> int:
    """Two significant digits, rounded down; a plan made again is then likely the same one."""
    if value < 1:
        return 0
    step = int(10 ** max(0, len(str(int(value))) - 2))
    return int(value) // step * step
