"""A study's plan for its time, made once before its first trial and recorded with it.

First, before a teacher is there: how long it may train, and whether the training set must be cut. Then, with it: the
default student, by measured seconds; what hand KD takes; and the budget that fits (`autokd.search.timing.fit`). What
the plan cannot foresee the clock settles (`autokd.search.timing.clock`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from autokd.recipes.students import choose_family, largest_of_families
from autokd.search.timing.fit import (
    ASIDE,
    ASIDE_SHARE,
    TAUGHT_EPOCHS,
    TEACHER_SHARE,
    TRAIN_SHARE,
    Asked,
    Estimate,
    Fitted,
    fit,
    fitting_samples,
    least_epochs,
    teacher_epochs,
)
from autokd.search.timing.measure import Probe, measure_costs, measure_families, measure_hand, measure_teacher
from autokd.search.work import Costs, Funnel, sizes_of
from autokd.space import Budget
from autokd.study.settings import TimePlan
from autokd.teaching.recipe import LARGE, Effort, networks

MEASURING_SHARE = 0.03
"""Of the time that measuring hand KD may take."""
ONE_SHARE = 0.005
"""Of the time that each of the other measurements may take: of a student, or of a teacher's network."""
LONGEST_RUN, SLOWER = 1 / 6, 1.5
"""A family of which a run of the least length takes more than this share of the time left is no candidate, unless it is
about as fast as the fastest: at most so many times its seconds."""


class Timing(NamedTuple):
    """What a plan is made for.

    Args:
      seconds: asked for.
      asked: what is not to be changed.
      trains: whether the final training is part of them.
      funnel: what the stages will do.
    """

    seconds: float
    asked: Asked
    trains: bool
    funnel: Funnel

    def left_of(self, left: float) -> float:
        """Return what is left for explore and confirm of the seconds that are left."""
        aside = ASIDE + (ASIDE_SHARE + TRAIN_SHARE * self.trains) * self.seconds
        return max(1.0, left - aside)


class Teaching(NamedTuple):
    """What is settled before the teacher is trained.

    Args:
      effort: that a default teacher is trained with.
      limit_train: samples that are used of the training set; None: all.
    """

    effort: Effort
    limit_train: int | None


def plan_teaching(timing: Timing, left: float, own: Budget, probe: Probe, *, may_limit: bool) -> Teaching:
    """Measure what training costs here, and return how a teacher is trained, and on how many samples.

    Args:
      timing: what the plan is for.
      left: seconds.
      own: the space file's budget.
      probe: what is measured, on all the data.
      may_limit: whether the training set may be made smaller.
    """
    estimate = _estimate(timing, measure_costs(probe), probe)
    teaching = TEACHER_SHARE * timing.seconds if estimate.costs.teacher else 0.0
    samples = estimate.sizes.train
    if may_limit and timing.asked.epochs is None:
        samples = fitting_samples(timing.left_of(left) - teaching, own, estimate)
    effort = _fitting_effort(teaching, samples, estimate, probe)
    return Teaching(effort, None if samples == estimate.sizes.train else samples)


def _fitting_effort(seconds: float, samples: int, estimate: Estimate, probe: Probe) -> Effort:
    """The largest default teacher that a time bears `TAUGHT_EPOCHS` of, at most its own length; else the smallest.

    Args:
      seconds: for its training.
      samples: that it is trained on.
      estimate: with the costs of the largest.
      probe: measures the others.
    """
    own = probe.effort
    if not estimate.costs.teacher:
        return own
    for network in networks(probe.data.task) if probe.begun is None else (own.network,):
        effort = own._replace(network=network)
        if network != own.network:
            costs = measure_teacher(dataclasses.replace(probe, effort=effort), estimate.costs.train)
            estimate = dataclasses.replace(estimate, costs=costs)
        effort = effort._replace(epochs=teacher_epochs(seconds, own.epochs, samples, estimate))
        if effort.epochs >= min(TAUGHT_EPOCHS, own.epochs):
            return effort
    return effort


class Whole(NamedTuple):
    """All the data, where the training set was cut: its size and its fingerprint."""

    train: int
    fingerprint: str


def make_time_plan(timing: Timing, ends: float, own: Budget, probe: Probe, whole: Whole | None) -> TimePlan:
    """Measure hand KD, and return the plan; in a dry run, without a teacher, from what the student alone takes.

    Args:
      timing: what the plan is for.
      ends: when the time is over, by `time.monotonic`.
      own: the space file's budget, with the teacher's epochs as they are settled.
      probe: with the teacher, on the training samples that are used.
      whole: all the data, where these are fewer.
    """
    student, left_out, fastest = choose_student(probe, own, timing.left_of(ends - time.monotonic()))
    probe = dataclasses.replace(probe, student=student, space=probe.space.without(left_out))
    taught = probe.teacher is not None
    costs = measure_hand(probe, MEASURING_SHARE * timing.seconds) if taught else measure_costs(probe)
    estimate = _estimate(timing, costs, probe)
    fitted = fit(timing.left_of(ends - time.monotonic()), own, estimate, timing.asked)
    before, after = dataclasses.asdict(probe.space.budget), dataclasses.asdict(fitted.budget)
    return TimePlan(
        seconds=timing.seconds,
        budget={key: value for key, value in after.items() if value != before[key]},
        limit_train=estimate.sizes.train if whole is not None else None,
        whole_data=None if whole is None else whole.fingerprint,
        teacher_epochs=probe.space.budget.teacher_epochs,
        reason=_reason(fitted, probe, estimate, whole),
        whole_train=None if whole is None else whole.train,
        hand_seconds=estimate.hand_seconds(fitted.budget.epochs, estimate.sizes.train),
        hand_runs=fitted.hand_runs,
        student=student,
        left_out=left_out,
        fastest=fastest,
    )


class Chosen(NamedTuple):
    """What the measured seconds of families decide.

    Args:
      student: of the recipes, plain; None: no student is inside the limits.
      left_out: the families that are no candidates, with why.
      fastest: the others, the fastest first; [] where there is only one.
    """

    student: Mapping[str, Any] | None
    left_out: Mapping[str, str]
    fastest: list[str]


def choose_student(probe: Probe, own: Budget, left: float) -> Chosen:
    """Return the student of the recipes and the order in which families are tried, by measured seconds.

    Args:
      probe: what is measured.
      own: the space file's budget.
      left: seconds for explore and confirm.
    """
    students = largest_of_families(probe.space, probe.data.task, probe.offers)
    if len(students) < 2:
        return Chosen(dict(students[0]) if students else None, {}, [])
    seconds = measure_families(probe, students)
    samples = len(probe.data.train)
    epochs = least_epochs(own, math.ceil(samples / probe.batch))
    fastest = min(seconds.values())
    slow = {
        name: f"a run of {epochs} epochs takes about {each * epochs * samples:.0f} s of the {left:.0f} s left"
        for name, each in seconds.items()
        if each * epochs * samples > LONGEST_RUN * left and each > SLOWER * fastest
    }
    fit_in = [student for student in students if student["use"] not in slow]
    order = sorted((str(student["use"]) for student in fit_in), key=lambda name: seconds[name])
    return Chosen(choose_family(fit_in, seconds), slow, order)


def _estimate(timing: Timing, costs: Costs, probe: Probe) -> Estimate:
    return Estimate(funnel=timing.funnel, sizes=sizes_of(probe.data), costs=costs, batch=probe.batch)


def _reason(fitted: Fitted, probe: Probe, estimate: Estimate, whole: Whole | None) -> str:
    own, effort = probe.space.budget, probe.effort
    budget, hand = fitted.budget, estimate.hand_seconds(fitted.budget.epochs, estimate.sizes.train)
    of = "" if budget.epochs == own.epochs else f" in place of {own.epochs}"
    parts = [
        f"KD by hand takes {hand:.2g} s for {budget.epochs} epoch{'s' * (budget.epochs != 1)}{of}",
        f"{fitted.hand_runs:.0f} such runs fit into the time",
        f"{fitted.level.does}: {budget.trials} trials, {_seeds(budget)}",
    ]
    if budget.views:
        parts.append(f"the teacher is asked about {budget.views} views of a sample, since its answers take long")
    if whole is not None:
        parts.append(f"{estimate.sizes.train:,} of {whole.train:,} training samples (full training takes them all)")
    if effort != Effort(own.teacher_epochs):
        parts.append(f"{_size(effort)} teacher of at most {effort.epochs} epochs in place of {own.teacher_epochs}")
    return "; ".join(parts)


def _size(effort: Effort) -> str:
    return "a" if effort.network == LARGE else f"a {effort.network}"


def _seeds(budget: Budget) -> str:
    if not budget.claim_seeds:
        return "no claim"
    if not budget.choose_seeds:
        return f"{budget.claim_seeds} seeds an arm for the claim"
    if not budget.fresh_claim:
        return f"{budget.claim_seeds} seeds an arm for choice and claim"
    return f"{budget.choose_seeds} seeds an arm for the choice and {budget.claim_seeds} for the claim"
