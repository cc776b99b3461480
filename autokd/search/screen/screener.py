"""Scores students with training-free proxies, over a few seeds and batches, each student once."""

from __future__ import annotations

import functools
import importlib.metadata
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autokd import catalog, declarations
from autokd._version import __version__
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.threads import computing_on
from autokd.engine.views import ask, normalise, raw_view
from autokd.errors import ComponentError
from autokd.execution.copies import spread_over_copies
from autokd.input_kind import takes
from autokd.networks.cost import student_cost
from autokd.networks.models import seeded
from autokd.search.screen.kept import KeptScores, Score, code_of
from autokd.seeds import derive, generator
from autokd.spec import component_from_plain, fingerprint, make
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES
from autokd.types import BuildContext, Inputs, Output, Proxy, ScreenInput, Teacher

BATCH = 64
"""Training samples that students are scored on."""
SHOWN = (*SIZES, "nwot", "diswot")
"""Proxies whose values are recorded, whether or not the space names them; latency would not be reproducible."""
REPEATS = 3
"""Seeds of a student, each with a batch of its own, over which a proxy's mean is taken."""
TIMED = "latency"
"""The proxy that measures time."""
ONCE = (*SIZES, TIMED, "depth", "path_params")
"""Proxies that do not depend on seed and batch, or take means themselves."""

EACH = 4
"""Students for each process that are scored together."""
CODE = ("autokd.proxies", "autokd.networks", "autokd.search.screen.screener")
"""What computes scores, beside the components themselves."""


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
      left_out: why other proxies cannot be used here, by name.
      kept: file that keeps scores for later sessions; None: they are kept in memory alone.
      processes: students that are scored at a time, at most; the scores do not depend on it.
    """

    context: TrainContext
    proxies: tuple[str, ...]
    seed: int
    repeats: int = REPEATS
    left_out: Mapping[str, str] = field(default_factory=dict)
    kept: Path | None = None
    processes: int = 1

    def rate(self, students: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> list[ScreenedStudent]:
        """Return students with their costs, and what the proxies, or those of them that have these names, say of them.

        Those of which something is not known yet are scored several at a time, each on one thread of torch.
        """
        wanted = [name for name in self.proxies if names is None or name in names]
        by_key = {self._key(student): student for student in students}
        unknown = {key: [name for name in wanted if name not in self._scores.of(key)] for key in by_key}
        missing = {key: (by_key[key], names) for key, names in unknown.items() if names}
        if missing:
            keys = [*missing]
            with computing_on(1):
                assert self._batches, "copies of this process find them, and what the teacher says of them"
            for place, said in spread_over_copies(self._said, [*missing.values()], self._copies):
                self._scores.add(keys[place], said)
        return [self._row(student, wanted) for student in students]

    def screened(self, student: Mapping[str, Any], names: Sequence[str] | None = None) -> ScreenedStudent:
        """Return one student as `rate` does."""
        return self.rate([student], names)[0]

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of its proxies that follow from the architecture alone."""
        return tuple(name for name in self.proxies if name in SIZES)

    def seconds_of(self, students: Iterable[Mapping[str, Any]]) -> float:
        """Return the seconds that scoring these students took, in whatever session that was."""
        keys = dict.fromkeys(map(self._key, students))
        return sum(score.seconds for key in keys for score in self._scores.of(key).values())

    def names_within(self, seconds: float, students: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return the names of its proxies; of sizes alone once scoring these students took so many seconds."""
        return self.proxies if math.isinf(seconds) or self.seconds_of(students) < seconds else self.sizes

    def _row(self, student: Mapping[str, Any], wanted: Sequence[str]) -> ScreenedStudent:
        known = self._scores.of(self._key(student))
        found = {name: known[name] for name in wanted}
        cost = student_cost(component_from_plain("students", student), self.context.data.task)
        return ScreenedStudent(
            student=dict(student),
            **cost._asdict(),
            proxies={name: score.mean for name, score in found.items()},
            score=0.0,
            spread={name: score.spread for name, score in found.items() if score.spread is not None},
            repeats=self.repeats,
            not_finite=tuple(name for name, score in found.items() if score.not_finite),
        )

    @property
    def at_a_time(self) -> int:
        """Students that are worth scoring together: some for each process, since some take longer than others."""
        return 1 if self._copies == 1 else EACH * self._copies

    @property
    def _copies(self) -> int:
        """Processes that score: one where others would disturb what is measured."""
        alone = self.context.device.type != "cpu" or TIMED in self.proxies
        return 1 if alone else self.processes

    def _said(self, unknown: tuple[Mapping[str, Any], Sequence[str]]) -> dict[str, Score]:
        """What some proxies say of a student."""
        student, names = unknown
        return {name: self._measured(student, name) for name in names}

    def _measured(self, student: Mapping[str, Any], name: str) -> Score:
        """Mean and spread of a proxy over the repeats."""
        count, began = 1 if name in ONCE else self.repeats, time.monotonic()
        try:
            values = [self._once(student, name, repeat) for repeat in range(count)]
        except ComponentError:  # it reads something that this student does not have
            return Score(None, None, not_finite=False, seconds=time.monotonic() - began)
        if not all(map(math.isfinite, values)):
            return Score(None, None, not_finite=True, seconds=time.monotonic() - began)
        spread = statistics.stdev(values) if count > 1 else None
        return Score(statistics.fmean(values), spread, not_finite=False, seconds=time.monotonic() - began)

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

    def _key(self, student: Mapping[str, Any]) -> str:
        """Identify a student together with all that decides what proxies say of it."""
        return fingerprint([self._decides, _code_of_student(student["use"]), student])

    @functools.cached_property
    def _decides(self) -> str:
        """Identify what decides scores beside the student: data, teacher, seeds, and the code that computes them."""
        task, teacher = self.context.data.task, self.context.teacher
        modules = {catalog.load("proxies", name).__module__ for name in self.proxies}
        return fingerprint(
            {
                "data": [task.fingerprint, task.train_size],
                "teacher": None if teacher is None else teacher.fingerprint,
                "batches": [self.seed, BATCH, self.repeats],
                "device": self.context.device.type,
                "code": [__version__, torch.__version__, code_of(*CODE, *sorted(modules))],
            }
        )

    @functools.cached_property
    def _scores(self) -> KeptScores:
        """What is known already: a sampler comes back to the same students."""
        return KeptScores(self.kept)

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


@functools.cache
def _code_of_student(use: str) -> list[str]:
    """Identify the code that builds students of a family, and the version of the library that it is of."""
    code = code_of("autokd.students", catalog.load("students", use).__module__)
    try:
        return [code, importlib.metadata.version(use.partition(":")[0])]
    except importlib.metadata.PackageNotFoundError:  # it is of no library
        return [code]


def make_screener(wanted: Sequence[str], context: TrainContext, seed: int, **settings: Any) -> Screener:
    """Return what scores students, with their sizes and those of the proxies wanted that can run here.

    Args:
      wanted: names of proxies.
      context: data, teacher and device.
      seed: the study's.
      settings: of the `Screener`.
    """
    names = tuple(dict.fromkeys([*SIZES, *wanted]))
    left_out = unusable_proxies(names, context)
    usable = tuple(name for name in names if name not in left_out)
    return Screener(context, usable, seed, left_out=left_out, **settings)


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
