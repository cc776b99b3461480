"""What a search would do and cost, before it does it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autokd.cost import student_cost
from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank, block_bytes
from autokd.errors import NothingFeasible
from autokd.search.confirm import run_count
from autokd.search.executors import RungJob, run_job
from autokd.search.explore import baseline
from autokd.search.noise_stage import SEEDS as NOISE_SEEDS
from autokd.search.prepare import Prepared, rung_plan
from autokd.search.screen import population
from autokd.seeds import derive
from autokd.spec import component_from_plain, fingerprint
from autokd.types import Split, Task

TIMED_SAMPLES = 512
"""Samples on which a plan's seconds are measured."""
SIMULATED = 200
"""Trials that a bank plan looks at, at most: more ask for little that is new."""


class Plan(NamedTuple):
    """What a search would do.

    Args:
      rung_epochs: epochs at the end of each rung.
      trial_runs: runs that reach each rung, about.
      confirm_runs: runs of confirm, at most.
      sample_seconds: measured seconds of training on one sample.
      seconds: expected seconds in all, without training a teacher.
      disk_bytes: expected size of the study.
      bank: what the teacher bank is expected to hold.
    """

    rung_epochs: list[int]
    trial_runs: list[int]
    confirm_runs: int
    sample_seconds: float
    seconds: float
    disk_bytes: int
    bank: BankPlan


class BankPlan(NamedTuple):
    """What the teacher bank is expected to hold after the study.

    Args:
      policies: distinct augmentation policies among the trials.
      nbytes: size of all blocks.
      hit_rate: share of epochs that find their teacher outputs already there.
    """

    policies: int
    nbytes: int
    hit_rate: float

    def __str__(self) -> str:
        policies = f"{self.policies} polic{'y' if self.policies == 1 else 'ies'}"
        return f"about {policies}, {self.nbytes / 1e6:.3g} MB; {100 * self.hit_rate:.0f} % of epochs find theirs there"


def plan(prepared: Prepared) -> Plan:
    """Return what a search would do, its seconds measured on a few samples with the middle one of the students."""
    budget, rungs = prepared.budget, rung_plan(prepared.budget)
    runs = [max(1, budget.trials // budget.eta**k) for k in range(len(rungs))]
    student = _typical_student(prepared)
    per_sample = _measure(prepared, student)
    increments = [rungs[0], *(b - a for a, b in itertools.pairwise(rungs))]
    usual = run_count(budget, has_teacher=True, stretch=1)
    explored = sum(n * e for n, e in zip(runs, increments, strict=True)) + NOISE_SEEDS * rungs[-1]
    epochs = explored + usual * budget.confirm_epochs
    cost = student_cost(component_from_plain("students", student), prepared.data.task)
    disk = 4 * cost.params * (3 * sum(runs) + 3 * budget.claim_seeds) + 2_000_000
    seconds = epochs * per_sample * len(prepared.data.train)
    return Plan(rungs, runs, run_count(budget, has_teacher=True), per_sample, seconds, disk, bank_plan(prepared))


def bank_plan(prepared: Prepared) -> BankPlan:
    """Simulate which teacher outputs a study asks for: random pipelines, successive halving, confirm's view seeds.

    The first two trials are the baselines, of which vanilla KD reads the teacher; so does one arm of confirm at least.
    """
    budget, rungs, size = prepared.budget, rung_plan(prepared.budget), len(prepared.data.train)
    vanilla = baseline(prepared.space.default(), "kd", prepared.space).plain
    asked = list(_asked(vanilla, 0, rungs[-1]))
    for number in range(2, min(budget.trials, SIMULATED)):
        rng = np.random.default_rng(derive(prepared.identity["seed"], "bank plan", number))
        drawn = prepared.space.sample(rng, number).plain
        rung = max(k for k in range(len(rungs)) if number % budget.eta**k == 0)
        asked += _asked(drawn, 0, rungs[rung])
    for _ in range(NOISE_SEEDS):
        asked += _asked(vanilla, 0, rungs[-1])
    for _ in range(budget.finalists * budget.select_seeds + 2 * (run_count(budget, has_teacher=True, stretch=1) // 4)):
        asked += _asked(vanilla, 0, budget.confirm_epochs)
    for seed in range(budget.claim_seeds):
        asked += [view for _ in range(2) for view in _asked(vanilla, 1 + seed, budget.confirm_epochs)]
    distinct = set(asked)
    parts = prepared.space.teacher_parts() & {"pooled"}
    each = block_bytes(prepared.offers, prepared.data.task.num_classes, size, parts)
    return BankPlan(len({policy for policy, _, _ in asked}), len(distinct) * each, 1 - len(distinct) / len(asked))


def _asked(pipeline: Any, view_seed: int, epochs: int) -> Iterator[tuple[str, int, int]]:
    """The (policy, view seed, epoch) blocks that a run asks for; without randomness every epoch is the same view."""
    teachers = {component_from_plain("losses", loss).teacher for loss in pipeline["losses"].values()}
    policy = pipeline["augment"]
    if "live" not in teachers and "stored" in teachers:
        still = policy["use"] == "none"
        yield from ((fingerprint(policy), 0 if still else view_seed, 0 if still else e) for e in range(epochs))


def _typical_student(prepared: Prepared) -> dict[str, Any]:
    """The student in the middle, by multiply-accumulates, of those inside the budget."""
    task = prepared.data.task
    inside, _ = population(prepared.space, task, prepared.identity["seed"])
    return sorted(inside, key=lambda s: student_cost(component_from_plain("students", s), task).macs)[len(inside) // 2]


def _measure(prepared: Prepared, student: dict[str, Any]) -> float:
    """Seconds of training the default pipeline on one sample, measured on a few."""
    data = prepared.data
    count = min(TIMED_SAMPLES, len(data.train))
    small = _Sample(data, Split(data.train.inputs[:count], data.train.labels[:count]))
    context = TrainContext(data=small, teacher=None, device=prepared.device, bank=TeacherBank())  # type: ignore[arg-type]
    pipeline = {**baseline(prepared.space.default(), "ce", prepared.space).plain, "student": student}
    outcomes = [run_job(context, RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=2, until=2)) for _ in range(2)]
    if outcomes[-1].result is None:
        raise NothingFeasible(f"the space's default pipeline does not train: {outcomes[-1].failure}")
    return outcomes[-1].result.seconds / (2 * count)


class _Sample:
    """A dataset with a part of its training split."""

    def __init__(self, data: Dataset, train: Split) -> None:
        self.task: Task = dataclasses.replace(data.task, train_size=len(train))
        self.train = train
        self.validation = Split(data.validation.inputs[: len(train)], data.validation.labels[: len(train)])
