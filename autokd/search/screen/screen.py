"""Screening: training-free proxies rank student architectures before anything is trained.

The ranks order students, they veto none: the best diverse ones are tried early, and among a sampler's candidates the
best screened one is taken half of the time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from autokd.components import ProxyComponent
from autokd.engine.train import TrainContext, build_student
from autokd.engine.views import normalise, raw_view
from autokd.errors import ComponentError, NothingFeasible
from autokd.networks.cost import Cost, latency, student_cost
from autokd.networks.models import seeded
from autokd.objective import shown_limit
from autokd.seeds import derive, generator
from autokd.space import Space
from autokd.spec import component_from_plain, fingerprint, make
from autokd.types import BuildContext, Output, Proxy, ScreenInput, Shapes, Task, Teacher

BATCH = 64
POPULATION = 64
DRAWS = 2_000
FEWEST = 8
"""Students that are scored however little time there is."""
MIDDLE = 0.5
"""Rank of a student that a proxy cannot judge."""
FEW = 0.01
"""Feasible share below which the user is told."""


def feasible(student: Mapping[str, Any], task: Task, constraints: Mapping[str, float]) -> bool:
    """Whether a plain student lies inside the budget."""
    return inside(student_cost(component_from_plain("students", student), task), constraints)


def inside(cost: Cost, constraints: Mapping[str, float]) -> bool:
    """Whether a cost lies inside the budget, as far as it follows from the architecture: latency is measured."""
    return over(cost, constraints) <= 1


def over(cost: Cost, constraints: Mapping[str, float]) -> float:
    """Return the largest cost as a multiple of its limit: 1 and less lie inside the budget; latency is measured."""
    known = cost._asdict()
    return max((known[name] / limit for name, limit in constraints.items() if name in known), default=0.0)


def pipeline_cost(pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None) -> Cost:
    """Return what the student of a plain pipeline costs, its head included."""
    student, head = student_of(pipeline)
    return student_cost(student, task, head, teacher)


def student_of(pipeline: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the student and the head of a plain pipeline; None for the head of one from before there were heads."""
    head = component_from_plain("heads", pipeline["head"]) if "head" in pipeline else None
    return component_from_plain("students", pipeline["student"]), head


def network_key(pipeline: Mapping[str, Any]) -> str:
    """Identify the network of a plain pipeline or of a bare student {"student": …}: the student with its head."""
    return fingerprint([dict(pipeline["student"]), dict(pipeline.get("head", {"use": "plain"}))])


@dataclass(frozen=True)
class LatencyMeter:
    """Measures how long students take, each network once; see `autokd.networks.cost.latency`.

    Args:
      task: the task.
      device: where students are to answer.
      teacher: what the teacher offers, for heads.
      threads: that a forward pass computes on.
      known: what was measured before, milliseconds by `network_key`.
      record: called with a key and its milliseconds before they are used; keeps them in `known`.
    """

    task: Task
    device: torch.device
    teacher: Shapes | None
    threads: int
    known: Mapping[str, float]
    record: Callable[[str, float], None]

    def __call__(self, pipeline: Mapping[str, Any]) -> float:
        """Return the milliseconds that the network of a plain pipeline takes for one sample."""
        key = network_key(pipeline)
        if key not in self.known:
            self.record(key, self._measured(pipeline))
        return self.known[key]

    def _measured(self, pipeline: Mapping[str, Any]) -> float:
        student, head = student_of(pipeline)
        with seeded(0, self.device):
            network = build_student(student, self.task, self.device, head=head, teacher=self.teacher)
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return round(latency(network, self.task, self.device), 4)
        finally:
            torch.set_num_threads(before)


def recorded_cost(
    pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None, meter: LatencyMeter | None
) -> dict[str, float]:
    """Return what the student of a plain pipeline costs, by name; its latency too, where there is a meter."""
    cost = pipeline_cost(pipeline, task, teacher)._asdict()
    return cost if meter is None else {**cost, "latency": meter(pipeline)}


@dataclass(frozen=True)
class Screener:
    """Scores students with proxies.

    Args:
      context: data, teacher and device.
      proxies: names of the proxies.
      ranked_by: those whose ranks make the score.
      seed: the study's seed: decides the batch and the initialisations.
    """

    context: TrainContext
    proxies: tuple[str, ...]
    ranked_by: tuple[str, ...]
    seed: int

    def values(self, student: Mapping[str, Any]) -> dict[str, float | None]:
        """Return every proxy's value for one plain student; None where a proxy cannot judge it."""
        key = key_of(student)
        if key not in self._valued:
            self._valued[key] = self._measured(student)
        return self._valued[key]

    def _measured(self, student: Mapping[str, Any]) -> dict[str, float | None]:
        component = component_from_plain("students", student)
        task, device = self.context.data.task, self.context.device

        def build(seed: int) -> torch.nn.Module:
            with seeded(seed, device):
                return build_student(component, task, device)

        inputs, labels = self._batch
        screened = ScreenInput(
            build=build,
            task=task,
            inputs=inputs,
            labels=labels,
            teacher=self._teacher,
            seed=derive(self.seed, "screen", "init") % 2**31,
        )
        return {name: _value(proxy, screened) for name, proxy in self._built.items()}

    @functools.cached_property
    def _valued(self) -> dict[str, dict[str, float | None]]:
        """What is known already, by student: a sampler comes back to the same ones."""
        return {}

    @functools.cached_property
    def _batch(self) -> tuple[Tensor, Tensor]:
        """The same normalised training batch for all students, and its labels."""
        data = self.context.train_data
        order = torch.randperm(len(data.labels), generator=generator(self.seed, "screen"))
        index = order[:BATCH].to(self.context.device)
        return normalise(data, raw_view(data, index).inputs), data.labels[index]

    @functools.cached_property
    def _teacher(self) -> Teacher | None:
        return None if self.context.teacher is None else _Answered(self.context.teacher, self._batch[0])

    @functools.cached_property
    def _built(self) -> dict[str, Proxy]:
        context = _context(self.context)
        return {name: _proxy(name).build(context) for name in self.proxies}


def _value(proxy: Proxy, screened: ScreenInput) -> float | None:
    try:
        return proxy(screened)
    except ComponentError:  # it reads something that this student does not have
        return None


class _Answered:
    """A teacher that remembers its answer to the one batch that all students are screened on."""

    def __init__(self, teacher: Teacher, inputs: Tensor) -> None:
        self._teacher = teacher
        self._inputs = inputs
        self._answer = teacher.predict(inputs)
        self.fingerprint, self.offers = teacher.fingerprint, teacher.offers
        self.origin, self.params, self.head = teacher.origin, teacher.params, teacher.head

    def predict(self, inputs: Tensor) -> Output:
        return self._answer if inputs is self._inputs else self._teacher.predict(inputs)

    def to(self, device: torch.device) -> Teacher:
        return self._teacher.to(device)


def usable_proxies(names: Sequence[str], context: TrainContext) -> tuple[str, ...]:
    """Return the proxies that can run here; one that needs a teacher, or its features, only with such a teacher."""
    return tuple(name for name in names if _usable(name, context))


def _usable(name: str, context: TrainContext) -> bool:
    try:
        proxy = _proxy(name)
        lacks_teacher = proxy.declares.needs_teacher and context.teacher is None
        if lacks_teacher or context.data.task.modality not in proxy.declares.modalities:
            return False
        proxy.build(_context(context))
    except ComponentError:
        return False
    return True


def _context(context: TrainContext) -> BuildContext:
    teacher = None if context.teacher is None else context.teacher.offers
    return BuildContext(task=context.data.task, teacher=teacher)


def population(
    space: Space, task: Task, seed: int, size: int = POPULATION, *, meter: LatencyMeter | None = None
) -> tuple[list[dict[str, Any]], float]:
    """Draw distinct students inside the budget.

    Args:
      space: the resolved space.
      task: the task.
      seed: the study's seed.
      size: how many, at most.
      meter: measures those that are inside otherwise, where the space bounds the latency; None: it is not looked at.

    Returns:
      the plain students, and the share of draws that was inside.

    Raises:
      NothingFeasible: none of the drawn students is; the message names the smallest one, or the fastest.
    """
    rng = np.random.default_rng(derive(seed, "screen", "population"))
    drawn = space.students(rng, DRAWS)
    found = [student for student in drawn if feasible(student, task, space.constraints)]
    if not found:
        cost = min((student_cost(component_from_plain("students", s), task), _short(s)) for s in drawn)
        limits = ", ".join(shown_limit(name, limit) for name, limit in space.constraints.items())
        raise NothingFeasible(
            f"no student of the space lies inside the budget ({limits}); the smallest one drawn is {cost[1]} "
            f"with {cost[0].params:,} parameters, {cost[0].macs:,} MACs and {cost[0].size:,} bytes"
        )
    share, found, most = len(found) / len(drawn), found[:size], space.constraints.get("latency")
    if meter is None or most is None:
        return found, share
    times = [meter({"student": student}) for student in found]
    fast = [student for student, taken in zip(found, times, strict=True) if taken <= most]
    if not fast:
        taken, student = min(zip(times, map(_short, found), strict=True))
        raise NothingFeasible(
            f"no student of the space lies inside the budget ({shown_limit('latency', most)}); the fastest one "
            f"measured is {student} with {taken:.3g} ms on {meter.device}"
        )
    return fast, share * len(fast) / len(found)


def screen(
    screener: Screener,
    students: Sequence[Mapping[str, Any]],
    on_student: Callable[[int, int], None] | None = None,
    *,
    enough: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Score students and return them best first: {"student", "params", "macs", "size", "proxies", "score"}.

    The score is the mean over `ranked_by` of the student's rank, 0 for the worst to 1 for the best, and the middle
    where a proxy cannot judge it.

    Args:
      screener: scores them.
      students: plain ones.
      on_student: called with (scored, in all) after each.
      enough: asked from the `FEWEST`th student on whether to leave it at those scored.
    """
    rows: list[dict[str, Any]] = []
    for done, student in enumerate(students):
        if done >= FEWEST and enough():
            break
        cost = student_cost(component_from_plain("students", student), screener.context.data.task)
        rows.append({"student": dict(student), **cost._asdict(), "proxies": screener.values(student)})
        if on_student is not None:
            on_student(done + 1, len(students))
    ranks = np.mean([_ranks([row["proxies"][name] for row in rows], name) for name in screener.ranked_by], axis=0)
    scored = [{**row, "score": float(rank)} for row, rank in zip(rows, ranks, strict=True)]
    return sorted(scored, key=lambda row: -row["score"])


def score_against(
    screened: Sequence[Mapping[str, Any]], values: Mapping[str, float | None], names: Sequence[str]
) -> float:
    """Return the score of one more student against a screened population, 0 to 1."""
    shares = []
    for name in names:
        sign = 1.0 if _proxy(name).declares.higher_is_better else -1.0
        own, others = values[name], [row["proxies"][name] for row in screened]
        judged = [sign * other for other in others if other is not None]
        shares.append(MIDDLE if own is None or not judged else sum(o < sign * own for o in judged) / len(judged))
    return float(np.mean(shares))


def diverse_top(screened: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Return the best students that differ: no two of one architecture within 15 % in parameters."""
    chosen: list[Mapping[str, Any]] = []
    for row in screened:
        if len(chosen) < count and not any(_alike(row, other) for other in chosen):
            chosen.append(row)
    return chosen


def _alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    same = a["student"]["use"] == b["student"]["use"]
    return same and abs(math.log(max(a["params"], 1) / max(b["params"], 1))) < math.log(1.15)


def _ranks(values: Sequence[float | None], name: str) -> Any:
    sign = 1.0 if _proxy(name).declares.higher_is_better else -1.0
    judged = np.array([value is not None for value in values])
    finite = [sign * value if math.isfinite(value) else -math.inf for value in values if value is not None]
    ranks = np.full(len(values), MIDDLE)
    ranks[judged] = (rankdata(finite) - 1) / max(1, len(finite) - 1)
    return ranks


def _proxy(name: str) -> ProxyComponent:
    proxy: ProxyComponent = make("proxies", name, {})
    return proxy


def _short(student: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key}={value}" for key, value in student.items() if key != "use")
    return f"{student['use']}({fields})"


def key_of(student: Mapping[str, Any]) -> str:
    """Identify a plain student."""
    return fingerprint(dict(student))
