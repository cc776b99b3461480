"""What a search would do and cost, before it does it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autokd import batching
from autokd.data import fits
from autokd.engine.teacher_bank import block_bytes
from autokd.networks.cost import student_cost
from autokd.search.explore.stages import Explore
from autokd.search.session import Setup
from autokd.search.stages import works
from autokd.search.timing.measure import Probe, measure_costs
from autokd.search.work import Parallel, Work, run_total, sizes_of, total_seconds
from autokd.seeds import derive
from autokd.spec import component_from_plain, fingerprint, is_teacher, read_by
from autokd.study.arms import BASELINES
from autokd.teaching.taught import effort_of
from autokd.types import Task

SIMULATED = 200
"""Trials that a bank plan looks at, at most: more ask for little that is new."""


class Plan(NamedTuple):
    """What a search would do.

    Args:
      rung_epochs: epochs at the end of each rung.
      trial_runs: runs that reach each rung, about.
      confirm_runs: runs of confirm, at most.
      sample_seconds: measured seconds of training on one sample.
      seconds: expected seconds in all, a default teacher's training included.
      teacher_seconds: of them, for training the default teacher; 0 where one is given.
      disk_bytes: expected size of the study.
      data_bytes: of all samples.
      in_memory: whether there is room for them in memory; otherwise they are read from the cache as they are needed.
      bank: what the teacher bank is expected to hold.
      pool_seconds: of `seconds`, for the teacher's answers about all samples without labels, once.
    """

    rung_epochs: list[int]
    trial_runs: list[int]
    confirm_runs: int
    sample_seconds: float
    seconds: float
    teacher_seconds: float
    disk_bytes: int
    data_bytes: int
    in_memory: bool
    bank: BankPlan
    pool_seconds: float = 0.0


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
        if not self.nbytes:
            return "none is kept, since nothing in the plan reads answers that could be"
        size = f"{self.nbytes / 1e3:.3g} kB" if self.nbytes < 1e6 else f"{self.nbytes / 1e6:.3g} MB"
        percent = round(100 * self.hit_rate)
        again = (
            f"{percent} % of epochs find theirs there" if percent else "hardly any epoch asks for the same ones again"
        )
        return f"about {size} kept; {again}"


def plan(setup: Setup) -> Plan:
    """Return what a search would do, its seconds measured on a few samples with a typical student."""
    budget, foreseen = setup.budget, works(setup.scope)
    probe = Probe(
        data=setup.data,
        space=setup.space,
        teacher=setup.teacher,
        offers=setup.offers,
        device=setup.device,
        threads=setup.threads,
        effort=effort_of(setup.identity.teacher.reference, budget.teacher_epochs),
        begun=setup.begun,
        student=None if setup.time_plan is None else setup.time_plan.student,
    )
    costs, sizes = measure_costs(probe), sizes_of(setup.data)
    parallel = Parallel(setup.identity.slots, setup.identity.slots)
    teaching = costs.teacher_seconds(budget.teacher_epochs, sizes.train, sizes.validation)
    student = component_from_plain("students", probe.recipe(distils=True)["student"])
    size = batching.nbytes(batching.take(setup.data.train.inputs, slice(1))) * (
        sizes.train + sizes.validation + sizes.test
    )
    runs = [max(1, budget.trials // budget.eta**k) for k in range(len(setup.identity.rungs))]
    return Plan(
        rung_epochs=list(setup.identity.rungs),
        trial_runs=runs,
        confirm_runs=run_total(work for work in foreseen if work.part == "confirm"),
        sample_seconds=costs.train,
        seconds=teaching + total_seconds(foreseen, sizes, sizes.train, costs, parallel),
        teacher_seconds=teaching,
        disk_bytes=4 * student_cost(student, setup.data.task).params * (3 * sum(runs) + 3 * budget.claim_seeds)
        + 2_000_000,
        data_bytes=size,
        in_memory=fits(size),
        bank=plan_bank(setup),
        pool_seconds=costs.answer * sizes.unlabelled / parallel.slots,
    )


def plan_bank(setup: Setup) -> BankPlan:
    """Simulate which teacher outputs a study asks for: random pipelines by successive halving, hand KD elsewhere."""
    asked = list(itertools.chain(_asked_by_trials(setup), *(_asked_by(work, setup) for work in works(setup.scope))))
    distinct = set(asked)
    parts = setup.space.teacher_parts() & {"pooled"}
    classes = setup.data.task.num_classes
    return BankPlan(
        policies=len({block.policy for block in asked}),
        nbytes=sum(block_bytes(setup.offers, classes, block.samples, parts) for block in distinct),
        hit_rate=1 - len(distinct) / max(1, len(asked)),
    )


class Block(NamedTuple):
    """Answers to the views of one epoch.

    Args:
      policy: fingerprint of the augmentation.
      epoch: of the views; 0 where all epochs have the same.
      samples: that are answered, those without labels among them.
    """

    policy: str
    epoch: int
    samples: int


def _asked_by_trials(setup: Setup) -> Iterator[Block]:
    """What explore's trials beside the baselines ask for."""
    budget, rungs = setup.budget, setup.identity.rungs
    for number in range(len(BASELINES), min(budget.trials, SIMULATED)):
        rng = np.random.default_rng(derive(setup.identity.seed, "bank plan", number))
        drawn = setup.space.sample(rng, number).plain
        rung = max(k for k in range(len(rungs)) if number % budget.eta**k == 0)
        branch = 0 if rungs[rung] == rungs[-1] else math.ceil(budget.branch * rungs[rung])
        yield from _blocks(drawn, rungs[rung] + branch, setup.data.task)


def _asked_by(work: Work, setup: Setup) -> Iterator[Block]:
    """What a stage's runs ask for that read the teacher, taken for runs of hand KD; trials are simulated apart."""
    if work.stage == Explore.name:
        return
    vanilla = next(iter(setup.recipes.values())).plain
    for _ in range(round(work.reading)):
        yield from _blocks(vanilla, round(work.epochs), setup.data.task)


def _blocks(pipeline: Any, epochs: int, task: Task) -> Iterator[Block]:
    """The blocks that a run asks for; without randomness every epoch is the same view."""
    losses = [component_from_plain("losses", loss) for loss in pipeline["losses"].values()]
    teachers = {loss.declares.teacher for loss in losses if is_teacher(read_by(loss))}
    policy = pipeline["augment"]
    if teachers and "live" not in teachers:
        still, share = policy["use"] == "none", pipeline.get("unlabelled") or 0.0
        taken = min(task.unlabelled, task.unlabelled if still else round(task.train_size * share / (1 - share)))
        samples = task.train_size + (taken if share else 0)
        yield from (Block(fingerprint(policy), 0 if still else e, samples) for e in range(epochs))
