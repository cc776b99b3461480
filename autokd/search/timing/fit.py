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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.rung import FORWARD, run_samples
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import NothingFeasible
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.networks.cost import student_cost
from autokd.search.confirm.confirmer import ARMS, GRID_RUNS, run_count
from autokd.search.explore.explorer import baseline
from autokd.search.screen.screen import population
from autokd.search.seed_noise import SEEDS as NOISE_SEEDS
from autokd.search.timing.clock import TIMED_SAMPLES, answer_seconds
from autokd.space import Budget, Space
from autokd.spec import component_from_plain
from autokd.teaching import default_teacher
from autokd.types import Split, Task, Teacher

WARM_UP = 64
"""Samples trained on before those that are timed."""
TYPICAL = 0.9
"""Quantile, by multiply-accumulates, of the student that is measured: screening prefers the larger ones."""
LONGER = 4
"""Times the space file's own epochs, at most."""
SHORT = 6
"""Epochs from which on a smaller training set is preferred to shorter runs."""
TEACHER_SHARE = 0.15
"""Of the time that a teacher's training may take."""
ASIDE, ASIDE_SHARE = 4.0, 0.03
"""Seconds, and a share of the time, kept for screening, asks and the records."""
POLICIES = 4
"""Augmentations of explore, about: the teacher's outputs are computed anew for each, and for each seed of the claim."""


class TimePlan(NamedTuple):
    """How a study fits into its time.

    Args:
      seconds: asked for.
      budget: fields of `autokd.types.Budget` in place of the space file's; its trials are expected ones.
      limit_train: size of the training set, or None for all of it.
      whole_data: fingerprint of all the data, where the training set is limited.
      teacher_epochs: the space file's own, for full training.
      grid: there is time for confirm's grid.
      reason: in words.
    """

    seconds: float
    budget: Mapping[str, int]
    limit_train: int | None
    whole_data: str | None
    teacher_epochs: int
    grid: bool
    reason: str


class Costs(NamedTuple):
    """Measured seconds of one sample.

    Args:
      train: of a student's training step.
      answer: of the teacher's answer.
      teacher: of a training step of the default teacher's network; 0 where none is trained.
      networks, compared: full and short trainings of the default teacher.
    """

    train: float
    answer: float
    teacher: float = 0.0
    networks: int = 1
    compared: int = 0


class Sizes(NamedTuple):
    """Samples of each split, and classes."""

    train: int
    validation: int
    test: int
    classes: int


def rung_plan(budget: Budget) -> list[int]:
    """Return the epochs at the end of each rung: the top one divided by eta again and again, at least 1, distinct."""
    epochs = {max(1, round(budget.epochs / budget.eta**k)) for k in range(budget.rungs)}
    return sorted(epochs)


def confirm_epochs(budget: Budget, sizes: Sizes, *, grid: bool, workers: int) -> float:
    """Return what confirm takes, one thing after the other, as epochs of training.

    Args:
      budget: of the study.
      sizes: of the data.
      grid: whether it tunes.
      workers: runs at a time; the claimed students' predictions are made one by one.
    """
    return _confirm_runs(budget, grid) * budget.confirm_epochs / workers + _predicted(budget, sizes) / sizes.train


def _confirm_runs(budget: Budget, grid: bool) -> int:
    return run_count(budget, has_teacher=True, stretch=1) - (0 if grid else GRID_RUNS)


def _predicted(budget: Budget, sizes: Sizes) -> float:
    """What predicting with all claimed students takes, as samples of training."""
    return ARMS * budget.claim_seeds * FORWARD * (sizes.validation + sizes.test)


def sizes_of(data: Dataset) -> Sizes:
    """Return the sizes of a dataset; the test split's is known from its card."""
    return Sizes(len(data.train), len(data.validation), data.card["samples"]["test"], data.task.num_classes)


def trial_epochs(budget: Budget) -> float:
    """Return the epochs that a trial takes on average, branches included, when the best 1/eta of each rung go on."""
    rungs = rung_plan(budget)
    branches = [budget.branch * end for end in rungs[:-1]] + [0.0]
    spans = zip([0, *rungs], rungs, branches, strict=False)
    return sum((b - a + branch) * float(budget.eta) ** -k for k, (a, b, branch) in enumerate(spans))


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


def fit(
    seconds: float, own: Budget, sizes: Sizes, costs: Costs, *, slots: int = 1, workers: int = 1, may_limit: bool = True
) -> Fitted:
    """Return the most thorough study that fits into a time.

    Args:
      seconds: left for teacher, explore and confirm.
      own: the space file's budget.
      sizes: of the data.
      costs: measured.
      slots, workers: rungs of explore, and runs of confirm, at a time.
      may_limit: whether fewer training samples may be taken than there are.
    """
    aside = ASIDE + ASIDE_SHARE * seconds
    teaching = TEACHER_SHARE * seconds if costs.teacher else 0.0
    left = seconds - aside - teaching
    level, epochs, samples = next(
        _fitting(left, list(_levels(own, sizes, may_limit)), sizes, costs, min(slots, workers), workers)
    )
    budget = dataclasses.replace(
        _at(level.budget, epochs), teacher_epochs=_teacher_epochs(teaching, own.teacher_epochs, sizes, samples, costs)
    )
    return Fitted(budget, samples, level.grid)


def _teacher_epochs(seconds: float, own: int, sizes: Sizes, samples: int, costs: Costs) -> int:
    """Return the full length of a default teacher's trainings that fits into a time: at least 1, at most its own."""

    def takes(epochs: int) -> float:
        lengths = [epochs] * costs.networks + [max(1, epochs // default_teacher.SHORT)] * costs.compared
        return costs.teacher * sum(run_samples(each, each, samples, sizes.validation) for each in lengths)

    return next((epochs for epochs in range(own, 1, -1) if takes(epochs) <= seconds), 1) if costs.teacher else own


def _fitting(
    left: float, levels: Sequence[_Level], sizes: Sizes, costs: Costs, slots: int, workers: int
) -> Iterator[tuple[_Level, int, int]]:
    """Yield (level, epochs, samples) that fit, the most thorough one first, and at last what is smallest."""
    for level in levels:
        fewest, most = level.epochs

        def takes(epochs: int, samples: int, level: _Level = level) -> float:
            return _seconds(_at(level.budget, epochs), level.grid, sizes, samples, costs, slots, workers)

        for epochs in range(most, fewest - 1, -1):
            if takes(epochs, sizes.train) <= left:
                yield level, epochs, sizes.train
        samples = _rounded(bisect.bisect_right(range(sizes.train), left, key=lambda n: takes(fewest, n)) - 1)
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
        confirm_epochs=own.epochs,
        select_seeds=min(own.select_seeds, 2),
        claim_seeds=min(own.claim_seeds, 3),
    )
    least = dataclasses.replace(light, trials=min(own.trials, 12), finalists=min(own.finalists, 2))
    yield _Level(own, True, (own.epochs, LONGER * own.epochs), sizes.train)
    yield _Level(light, True, (short, own.epochs), some)
    yield _Level(least, False, (short, short), few)


def _at(budget: Budget, epochs: int) -> Budget:
    """The budget with longest runs of so many epochs, confirm's in proportion."""
    confirm = max(1, round(budget.confirm_epochs * epochs / budget.epochs))
    return dataclasses.replace(budget, epochs=epochs, confirm_epochs=confirm)


def _seconds(budget: Budget, grid: bool, sizes: Sizes, samples: int, costs: Costs, slots: int, workers: int) -> float:
    """Expected wall time of explore and confirm on so many training samples."""

    def run(epochs: float) -> float:
        return costs.train * run_samples(epochs, budget.epochs, samples, sizes.validation)

    explore = (2 + NOISE_SEEDS) * run(budget.epochs) + max(0, budget.trials - 2) * run(trial_epochs(budget))
    answered = samples * (POLICIES * budget.epochs + budget.claim_seeds * budget.confirm_epochs)
    confirm = _confirm_runs(budget, grid) * run(budget.confirm_epochs) + answered * costs.answer
    return explore / slots + confirm / workers + costs.train * _predicted(budget, sizes)


def _rounded(value: float) -> int:
    """Two significant digits, rounded down; a plan made again is then likely the same one."""
    if value < 1:
        return 0
    step = int(10 ** max(0, len(str(int(value))) - 2))
    return int(value) // step * step


def make_time_plan(
    seconds: float,
    left: float,
    *,
    data: Dataset,
    space: Space,
    own: Budget,
    teacher: Teacher | None,
    device: torch.device,
    threads: int,
    slots: int,
    workers: int,
    seed: int,
    may_limit: bool,
) -> TimePlan:
    """Measure what training costs here, and return the plan.

    Args:
      seconds: asked for.
      left: of them.
      data: the dataset, whole.
      space: resolved.
      own: the space file's budget.
      teacher: the teacher; None: a default one is to be trained.
      device, threads: that rungs compute on.
      slots, workers: rungs of explore, and runs of confirm, at a time.
      seed: the study's.
      may_limit: whether the training set may be made smaller.
    """
    began = time.monotonic()
    costs = measure_costs(data, space, own, teacher, device, threads, seed)
    sizes = sizes_of(data)
    left -= time.monotonic() - began
    found = fit(left, own, sizes, costs, slots=slots, workers=workers, may_limit=may_limit)
    limited = found.samples < sizes.train
    changed = {
        key: value for key, value in dataclasses.asdict(found.budget).items() if value != dataclasses.asdict(own)[key]
    }
    return TimePlan(
        seconds=seconds,
        budget=changed,
        limit_train=found.samples if limited else None,
        whole_data=data.task.fingerprint if limited else None,
        teacher_epochs=own.teacher_epochs,
        grid=found.grid,
        reason=_reason(found, own, sizes, teacher is None),
    )


def _reason(found: Fitted, own: Budget, sizes: Sizes, teaches: bool) -> str:
    budget = found.budget
    of = "" if budget.epochs == own.epochs else f" in place of {own.epochs}"
    parts = [f"about {budget.trials} trials of up to {budget.epochs} epochs{of}"]
    if budget.confirm_epochs != budget.epochs:
        parts.append(f"confirm's of {budget.confirm_epochs}")
    if found.samples < sizes.train:
        parts.append(f"{found.samples:,} of {sizes.train:,} training samples (full training takes them all)")
    if teaches and budget.teacher_epochs != own.teacher_epochs:
        parts.append(f"a teacher of {budget.teacher_epochs} epochs in place of {own.teacher_epochs}")
    return "; ".join(parts)


def measure_costs(
    data: Dataset, space: Space, own: Budget, teacher: Teacher | None, device: torch.device, threads: int, seed: int
) -> Costs:
    """Measure what a sample costs: a typical student's training, the teacher's answer, the default teacher's training.

    Raises:
      NothingFeasible: the space's default pipeline does not train.
    """
    default = baseline(space.default(), "ce", space).plain
    train = sample_seconds(data, {**default, "student": typical_student(space, data.task, seed)}, device, threads)
    if teacher is None:
        recipe = default_teacher.recipe(data.task)
        each = sample_seconds(data, recipe.pipelines[0], device, threads)
        return Costs(train, FORWARD * each * recipe.members, each, recipe.members, default_teacher.compared(recipe))
    return Costs(train, answer_seconds(teacher, data, device))


def typical_student(space: Space, task: Task, seed: int) -> dict[str, Any]:
    """Return a student that is larger, by multiply-accumulates, than most of those inside the budget."""
    inside, _ = population(space, task, seed)
    ordered = sorted(inside, key=lambda s: student_cost(component_from_plain("students", s), task).macs)
    return ordered[int(TYPICAL * (len(inside) - 1))]


def sample_seconds(data: Dataset, pipeline: Mapping[str, Any], device: torch.device, threads: int) -> float:
    """Measure the seconds of training a pipeline without a teacher on one sample, on a few.

    Raises:
      NothingFeasible: it does not train.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    job = RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=1, until=1)
    try:
        outcomes = [run_job(_few(data, count, device), job) for count in (WARM_UP, TIMED_SAMPLES)]
    finally:
        torch.set_num_threads(before)
    if outcomes[-1].result is None:
        raise NothingFeasible(f"the space's default pipeline does not train: {outcomes[-1].failure}")
    trained, evaluated = (min(TIMED_SAMPLES, len(part)) for part in (data.train, data.validation))
    return outcomes[-1].result.seconds / (trained + FORWARD * evaluated)


def _few(data: Dataset, count: int, device: torch.device) -> TrainContext:
    """A context without a teacher that trains on a few samples."""
    small = _Sample(data, Split(data.train.inputs[:count], data.train.labels[:count]))
    return TrainContext(data=small, teacher=None, device=device, bank=TeacherBank())  # type: ignore[arg-type]


class _Sample:
    """A dataset with a part of its training split."""

    def __init__(self, data: Dataset, train: Split) -> None:
        self.task: Task = dataclasses.replace(data.task, train_size=len(train))
        self.train = train
        self.validation = Split(data.validation.inputs[: len(train)], data.validation.labels[: len(train)])
