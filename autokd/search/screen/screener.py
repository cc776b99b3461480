"""Scores students with training-free proxies, each student once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autokd import catalog, declarations
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.views import ask, normalise, raw_view
from autokd.errors import ComponentError
from autokd.input_kind import takes
from autokd.networks.models import seeded
from autokd.seeds import derive, generator
from autokd.spec import component_from_plain, fingerprint, make
from autokd.types import BuildContext, Inputs, Output, Proxy, ScreenInput, Teacher

BATCH = 64
"""Training samples that students are scored on."""


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

        inputs, labels, _ = self._batch
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
    def _batch(self) -> tuple[Inputs, Tensor, Tensor]:
        """The same normalised training batch for all students, its labels, and which samples it holds."""
        data = self.context.train_data
        order = torch.randperm(len(data.labels), generator=generator(self.seed, "screen"))
        index = order[:BATCH].to(self.context.device)
        return normalise(data, raw_view(data, index).inputs), data.labels[index], index

    @functools.cached_property
    def _teacher(self) -> Teacher | None:
        if self.context.teacher is None:
            return None
        inputs, _, index = self._batch
        return _Answered(
            self.context.teacher, inputs, ask(self.context.teacher, self.context.train_data, index, inputs)
        )

    @functools.cached_property
    def _built(self) -> dict[str, Proxy]:
        context = _context(self.context)
        return {name: make("proxies", name, {}).build(context) for name in self.proxies}


def _value(proxy: Proxy, screened: ScreenInput) -> float | None:
    try:
        return proxy(screened)
    except ComponentError:  # it reads something that this student does not have
        return None


class _Answered:
    """A teacher that remembers its answer to the one batch that all students are screened on."""

    def __init__(self, teacher: Teacher, inputs: Inputs, answer: Output) -> None:
        self._teacher = teacher
        self._inputs = inputs
        self._answer = answer
        self.fingerprint, self.offers = teacher.fingerprint, teacher.offers
        self.origin, self.params, self.head = teacher.origin, teacher.params, teacher.head

    def predict(self, inputs: Inputs) -> Output:
        return self._answer if inputs is self._inputs else self._teacher.predict(inputs)

    def to(self, device: torch.device) -> Teacher:
        return self._teacher.to(device)


def usable_proxies(names: Sequence[str], context: TrainContext) -> tuple[str, ...]:
    """Return the proxies that can run here; one that needs a teacher, or its features, only with such a teacher."""
    return tuple(name for name in names if _usable(name, context))


def _usable(name: str, context: TrainContext) -> bool:
    declares = declared(name)
    if declares.needs_teacher and context.teacher is None:
        return False
    if not takes(declares.modalities, context.data.task.modality):
        return False
    try:
        make("proxies", name, {}).build(_context(context))
    except ComponentError:
        return False
    return True


def declared(name: str) -> declarations.Proxy:
    """Return what a proxy declares."""
    declares: declarations.Proxy = catalog.load("proxies", name).declares
    return declares


def _context(context: TrainContext) -> BuildContext:
    teacher = None if context.teacher is None else context.teacher.offers
    return BuildContext(task=context.data.task, teacher=teacher)


def key_of(student: Mapping[str, Any]) -> str:
    """Identify a plain student."""
    return fingerprint(dict(student))
