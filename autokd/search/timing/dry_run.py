"""What a search would do and cost, before it does it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autokd.engine.teacher_bank import block_bytes
from autokd.networks.cost import student_cost
from autokd.search.confirm.confirmer import run_count
from autokd.search.explore.explorer import baseline
from autokd.search.prepare import Prepared
from autokd.search.seed_noise import SEEDS as NOISE_SEEDS
from autokd.search.timing.fit import rung_plan, sample_seconds, typical_student
from autokd.seeds import derive
from autokd.spec import component_from_plain, fingerprint

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
    """Return what a search would do, its seconds measured on a few samples with a typical student."""
    budget, rungs = prepared.budget, rung_plan(prepared.budget)
    runs = [max(1, budget.trials // budget.eta**k) for k in range(len(rungs))]
    student = typical_student(prepared.space, prepared.data.task, prepared.identity["seed"])
    pipeline = {**baseline(prepared.space.default(), "ce", prepared.space).plain, "student": student}
    per_sample = sample_seconds(prepared.data, pipeline, prepared.device, prepared.threads)
    increments = [rungs[0], *(b - a for a, b in itertools.pairwise(rungs))]
    usual = run_count(budget, has_teacher=True, stretch=1)
    branches = budget.branch * sum(n * e for n, e in zip(runs[:-1], rungs[:-1], strict=True))
    explored = sum(n * e for n, e in zip(runs, increments, strict=True)) + branches + NOISE_SEEDS * rungs[-1]
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
        branch = 0 if rungs[rung] == rungs[-1] else math.ceil(budget.branch * rungs[rung])
        asked += _asked(drawn, 0, rungs[rung] + branch)
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
    teachers = {component_from_plain("losses", loss).declares.teacher for loss in pipeline["losses"].values()}
    policy = pipeline["augment"]
    if "live" not in teachers and "stored" in teachers:
        still = policy["use"] == "none"
        yield from ((fingerprint(policy), 0 if still else view_seed, 0 if still else e) for e in range(epochs))
