"""Scores students with training-free proxies, over a few seeds and batches, each student once."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autokd import catalog, declarations
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.views import ask, normalise, raw_view
from autokd.errors import ComponentError
from autokd.input_kind import takes
from autokd.networks.cost import student_cost
from autokd.networks.models import seeded
from autokd.seeds import derive, generator
from autokd.spec import component_from_plain, make
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES, key_of
from autokd.types import BuildContext, Inputs, Output, Proxy, ScreenInput, Teacher

BATCH = 64
"""Training samples that students are scored on."""
REPEATS = 3
"""Seeds of a student, each with a batch of its own, over which a proxy's mean is taken."""
ONCE = (*SIZES, "latency", "depth", "path_params")
"""Proxies that do not depend on seed and batch, or take means themselves."""


class Scores(NamedTuple):
    """What proxies say of a student.

    Args:
      means: over repeats, by name; None where a proxy cannot judge it, or gave no finite number.
      spread: standard deviation over repeats, by name.
      not_finite: names of those that gave no finite number.
    """

    means: dict[str, float | None]
    spread: dict[str, float]
    not_finite: tuple[str, ...]


class _Batch(NamedTuple):
    """A normalised batch of training samples, and what the teacher says of it, where there is one."""

    inputs: Inputs
    labels: Tensor
    answer: Output | None


@dataclass(frozen=True)
class Screener:
    """Scores students with proxies.

    Args:
      context: data, teacher and device.
      proxies: names of the proxies.
      seed: the study's seed: decides the batches and the initialisations.
      repeats: seeds and batches.
    """

    context: TrainContext
    proxies: tuple[str, ...]
    seed: int
    repeats: int = REPEATS

    def scores(self, student: Mapping[str, Any], names: Sequence[str] | None = None) -> Scores:
        """Return what the proxies, or those of them that have these names, say of a plain student."""
        wanted = [name for name in self.proxies if names is None or name in names]
        found = [self._known(student, name) for name in wanted]
        values = {name: mean for name, (mean, _, _) in zip(wanted, found, strict=True)}
        spread = {name: sd for name, (_, sd, _) in zip(wanted, found, strict=True) if sd is not None}
        return Scores(values, spread, tuple(name for name, (*_, bad) in zip(wanted, found, strict=True) if bad))

    def screened(self, student: Mapping[str, Any], names: Sequence[str] | None = None) -> ScreenedStudent:
        """Return a student with its costs, and what the proxies, or some of them, say of it."""
        found = self.scores(student, names)
        cost = student_cost(component_from_plain("students", student), self.context.data.task)
        return ScreenedStudent(
            student=dict(student),
            **cost._asdict(),
            proxies=found.means,
            score=0.0,
            spread=found.spread,
            repeats=self.repeats,
            not_finite=found.not_finite,
        )

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of its proxies that follow from the architecture alone."""
        return tuple(name for name in self.proxies if name in SIZES)

    def _known(self, student: Mapping[str, Any], name: str) -> tuple[float | None, float | None, bool]:
        key = f"{key_of(student)} {name}"
        if key not in self._valued:
            began = time.monotonic()
            self._valued[key] = self._measured(student, name)
            self._seconds.append(time.monotonic() - began)
        return self._valued[key]

    @property
    def seconds(self) -> float:
        """Seconds that scoring has taken so far."""
        return sum(self._seconds)

    def _measured(self, student: Mapping[str, Any], name: str) -> tuple[float | None, float | None, bool]:
        """Mean and spread of a proxy over the repeats, and whether it gave something that is no finite number."""
        count = 1 if name in ONCE else self.repeats
        try:
            values = [self._once(student, name, repeat) for repeat in range(count)]
        except ComponentError:  # it reads something that this student does not have
            return None, None, False
        if not all(map(math.isfinite, values)):
            return None, None, True
        return statistics.fmean(values), statistics.stdev(values) if count > 1 else None, False

    def _once(self, student: Mapping[str, Any], name: str, repeat: int) -> float:
        component = component_from_plain("students", student)
        task, device = self.context.data.task, self.context.device

        def build(seed: int) -> torch.nn.Module:
            with seeded(seed, device):
                return build_student(component, task, device)

        batch = self._batches[repeat]
        screened = ScreenInput(
            build=build,
            task=task,
            inputs=batch.inputs,
            labels=batch.labels,
            teacher=self._teacher,
            seed=derive(self.seed, "screen", "init", *([repeat] if repeat else [])) % 2**31,
            more=[(other.inputs, other.labels) for other in self._batches if other is not batch],
        )
        try:
            return float(self._built[name](screened))
        except (ArithmeticError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            return math.nan

    @functools.cached_property
    def _valued(self) -> dict[str, tuple[float | None, float | None, bool]]:
        """What is known already, by student and proxy: a sampler comes back to the same ones."""
        return {}

    @functools.cached_property
    def _seconds(self) -> list[float]:
        return []

    @functools.cached_property
    def _batches(self) -> tuple[_Batch, ...]:
        """The same training batches for all students; of a small set they overlap."""
        data = self.context.train_data
        order = torch.randperm(len(data.labels), generator=generator(self.seed, "screen"))
        size = min(BATCH, len(order))
        places = (torch.arange(size) + repeat * size for repeat in range(self.repeats))
        return tuple(self._batch(order[place % len(order)].to(self.context.device)) for place in places)

    def _batch(self, index: Tensor) -> _Batch:
        data, teacher = self.context.train_data, self.context.teacher
        inputs = normalise(data, raw_view(data, index).inputs)
        return _Batch(inputs, data.labels[index], None if teacher is None else ask(teacher, data, index, inputs))

    @functools.cached_property
    def _teacher(self) -> Teacher | None:
        return None if self.context.teacher is None else _Answered(self.context.teacher, self._batches)

    @functools.cached_property
    def _built(self) -> dict[str, Proxy]:
        context = _context(self.context)
        return {name: make("proxies", name, {}).build(context) for name in self.proxies}


class _Answered:
    """A teacher that remembers its answers to the batches that all students are screened on."""

    def __init__(self, teacher: Teacher, batches: Sequence[_Batch]) -> None:
        self._teacher = teacher
        self._batches = batches
        self.fingerprint, self.offers = teacher.fingerprint, teacher.offers
        self.origin, self.params, self.head = teacher.origin, teacher.params, teacher.head

    def predict(self, inputs: Inputs) -> Output:
        known = (batch.answer for batch in self._batches if batch.inputs is inputs and batch.answer is not None)
        return next(known, None) or self._teacher.predict(inputs)

    def to(self, device: torch.device) -> Teacher:
        return self._teacher.to(device)


def unusable_proxies(names: Sequence[str], context: TrainContext) -> dict[str, str]:
    """Return why proxies cannot run here, by name: one needs a teacher, or its features, or other inputs."""
    reasons = {name: _why_not(name, context) for name in names}
    return {name: reason for name, reason in reasons.items() if reason}


def _why_not(name: str, context: TrainContext) -> str:
    declares = declared(name)
    if declares.needs_teacher and context.teacher is None:
        return f"{name} compares the student with a teacher; there is none"
    if not takes(declares.modalities, context.data.task.modality):
        return f"{name} is not for {context.data.task.modality} input"
    try:
        make("proxies", name, {}).build(_context(context))
    except ComponentError as error:
        return str(error)
    return ""


def declared(name: str) -> declarations.Proxy:
    """Return what a proxy declares."""
    declares: declarations.Proxy = catalog.load("proxies", name).declares
    return declares


def _context(context: TrainContext) -> BuildContext:
    teacher = None if context.teacher is None else context.teacher.offers
    return BuildContext(task=context.data.task, teacher=teacher)
