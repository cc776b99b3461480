"""A given teacher is tried on training samples before anything else runs: what goes in, and what its outputs stand for.

Where another input, or another order of the outputs, is clearly better than what was assumed, it is taken if the user
left that open, and else proposed. A teacher that knows no more than guessing is refused.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autokd import batching
from autokd.data import Dataset
from autokd.data.finer import finer_split
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.class_names import ByName, knows_some, whole
from autokd.networks.fed import FORM, Fed, Frozen
from autokd.networks.freeze import InputRefused
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher
from autokd.networks.side import side_of
from autokd.teaching import decided, sentences
from autokd.teaching.decided import Judge, Verdict, decide
from autokd.teaching.evidence import Guess, guess
from autokd.teaching.feeding import (
    AXES,
    DECIDED,
    NORMALISATION,
    SCREENED,
    SIZE,
    Feeder,
    Tried,
    Way,
    changed_form,
    screen,
)
from autokd.teaching.orders import output_names
from autokd.types import Split, Task, Teacher

log = logging.getLogger("autokd")

CLASSES = "classes"
FEWEST = 20
"""Training samples below which nothing is tried."""
VALIDATED = 2048
"""Validation samples that the first line is about, at most."""
SIZES_FIRST = (224, 32, 64, 28, 96, 128, 160, 192, 256, 299, 384, 48, 16)
"""Sides in pixels at which a network that does not take the data's is built, one after the other."""
OPEN = frozenset({*FORM, CLASSES})
_AXIS_OF = {"mean": NORMALISATION, "std": NORMALISATION, "input_size": SIZE}


class Given(NamedTuple):
    """A teacher that a user gave.

    Args:
      component: that loads it.
      open: of `OPEN`, the fields that the user left open.
      build: (fields of the component to change) -> teacher, where it is to answer.
    """

    component: Any
    open: frozenset[str]
    build: Callable[[Mapping[str, Any]], Teacher]

    @property
    def axes(self) -> tuple[str, ...]:
        """What of its input is open; mean and std are one."""
        closed = {_AXIS_OF[name] for name in FORM if name not in self.open}
        return tuple(axis for axis in AXES if axis not in closed)

    def may_reorder(self, teacher: Teacher, task: Task) -> bool:
        """Whether nobody says what the outputs of the teacher stand for: neither the user nor its file."""
        if CLASSES not in self.open:
            return False
        if isinstance(teacher, AnsweredTeacher):
            return not teacher.named
        return isinstance(self.component, Fed) and not knows_some(self.component.own_classes(), task)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A teacher as it is used, and what was found of it.

    Args:
      teacher: it.
      changed: fields of its component that were taken.
      line: what it is, what it is fed, how often it is right.
      remarks: what was taken or is proposed, a sentence each.
    """

    teacher: Teacher
    changed: Mapping[str, Any] = field(default_factory=dict)
    line: str = ""
    remarks: tuple[str, ...] = ()


def check(
    given: Given, data: Dataset, device: torch.device, tell: Callable[[int], None], share: float = 1.0
) -> Checked:
    """Try a teacher on training samples.

    Args:
      given: the teacher.
      data: its dataset; the test split is not looked at.
      device: where it answers.
      tell: called with the number of ways that were tried.
      share: of the usual bound on what trying costs, in (0, 1].

    Raises:
      TeacherError: it cannot be loaded, or knows no more than guessing.
    """
    teacher, fitted = _built(given, data.task)
    rows = decided.rows_to_ask(data.train.labelled, len(data.train), max(SCREENED + DECIDED, _many(data.task)))
    if len(rows) < FEWEST:
        return Checked(teacher=teacher, changed=fitted)
    samples = batching.take_split(data.train, rows)
    trial = _Trial(given, teacher, samples, data, device)
    found = trial.run(tell, share)
    changed = {**fitted, **found.changed}
    if found.changed:
        teacher = given.build(changed)
    others = batching.take_split(samples, slice(trial.fitted, trial.total))
    seen = _Seen.of(teacher, others, data, device)
    if seen.guess.is_all:
        raise TeacherError(
            " ".join([sentences.refusal(teacher, seen.as_share(), seen.guess, found.tried), *found.remarks])
        )
    finer = finer_split(data, others, side_of(teacher)).finer is not None
    line = sentences.line(teacher, data.task, trial.frozen, changed, seen.as_text(), finer=finer)
    remarks = (*sentences.refused_size(fitted, data.task), *found.remarks)
    for remark in remarks:
        log.warning("%s", remark)
    return Checked(teacher=teacher, changed=changed, line=line, remarks=remarks)


def _many(task: Task) -> int:
    return decided.SAMPLES_A_CLASS * task.num_classes


def _built(given: Given, task: Task) -> tuple[Teacher, dict[str, Any]]:
    """The teacher; where it does not take the data's size and no size is given, at the first one that it takes."""
    try:
        return given.build({}), {}
    except InputRefused:
        if "input_size" not in given.open or not kind_of(task.modality).usual_inputs(task).sizes:
            raise
        for size in SIZES_FIRST:
            try:
                return given.build({"input_size": size}), {"input_size": size}
            except InputRefused:
                continue
        raise


class _Seen(NamedTuple):
    """How often a teacher is right, shares, and on how many rows; of many validation rows only some are asked."""

    train: float
    rows: int
    validation: float
    validation_rows: int
    validation_all: int
    guess: Guess

    @classmethod
    def of(cls, teacher: Teacher, train: Split, data: Dataset, device: torch.device) -> _Seen:
        rows = decided.rows_to_ask(data.validation.labelled, len(data.validation), VALIDATED)
        validation = batching.take_split(data.validation, rows.sort().values)
        finer = [finer_split(data, split, side_of(teacher)) for split in (train, validation)]
        predicted = [predict_teacher(teacher, to_device(split, data.task, device)).argmax(1) for split in finer]
        right = [float((a == s.labels).double().mean()) for a, s in zip(predicted, (train, validation), strict=True)]
        found = guess(predicted[0], train.labels)
        return cls(right[0], len(train), right[1], len(validation), len(data.validation), found)

    def as_share(self) -> str:
        return f"{100 * self.train:.1f} % of {self.rows:,} training"

    def as_text(self) -> str:
        held = f"{100 * self.validation:.1f} % of {self.validation_rows:,} validation samples"
        drawn = f" (drawn from {self.validation_all:,}; all later figures are of all of them)"
        return f"right on {self.as_share()} and {held}{drawn if self.validation_rows < self.validation_all else ''}"


class _Plain:
    """Asks a teacher that is fed in one way only, whatever it is."""

    assumed = Way()

    def __init__(self, teacher: Teacher, samples: Split, task: Task, device: torch.device) -> None:
        self._teacher, self._samples, self._task, self._device = teacher, samples, task, device
        self._known = torch.zeros(0, task.num_classes)
        self.labels = samples.labels

    def allow(self, *, screening: bool, share: float) -> None:
        pass

    def bearable(self, ways: Any, samples: int) -> int:
        return samples

    def logits(self, way: Way, samples: int) -> Tensor:
        if len(self._known) < samples:
            asked = batching.take_split(self._samples, slice(samples))
            self._known = predict_teacher(self._teacher, to_device(asked, self._task, self._device))
        return self._known[:samples]


class _Found(NamedTuple):
    """What trying has found.

    Args:
      changed: fields of the component to take.
      remarks: a sentence each.
      tried: what was tried, in words.
    """

    changed: dict[str, Any]
    remarks: tuple[str, ...]
    tried: str


class _Trial:
    """One teacher on some training samples."""

    def __init__(
        self,
        given: Given,
        teacher: Teacher,
        samples: Split,
        data: Dataset,
        device: torch.device,
    ) -> None:
        task = data.task
        self._given, self._task = given, task
        self._reorder = given.may_reorder(teacher, task)
        self._own_side = round(kind_of(task.modality).own_side(data.samples))
        self.frozen = _frozen(teacher)
        outputs = torch.tensor(teacher.outputs if isinstance(teacher, ByName) else range(task.num_classes))
        self._feeder = (
            None
            if self.frozen is None
            else Feeder(self.frozen, task, samples, outputs, functools.partial(finer_split, data, samples))
        )
        self._asker: decided.Asker = self._feeder or _Plain(teacher, samples, task, device)
        self.fitted = self.total = 0

    def run(self, tell: Callable[[int], None], share: float) -> _Found:
        """Try it."""
        asker, axes, reorder = self._asker, self._given.axes, self._reorder
        asker.allow(screening=True, share=share)
        tried = self._screened(axes, tell)
        wider = tried if axes == AXES else self._screened(AXES, tell)
        asker.allow(screening=False, share=share)
        judge = Judge(asker, self._task.classes, list(dict.fromkeys([asker.assumed, tried.best, wider.best])))
        self.fitted, self.total = judge.fitted, judge.total
        verdict = decide(judge, asker.assumed, tried.best, reorder=reorder)
        words = sentences.Words(self._task, asker.assumed)
        way = asker.assumed if verdict.way is None else verdict.way.way
        remarks = (
            *words.taken(verdict),
            *words.proposed_order(None if reorder else judge.order(way)),
            *words.proposed_way(judge.better(way, wider.best, verdict.order), way),
        )
        return _Found(self._changed(verdict), remarks, sentences.tried(wider, self._task))

    def _screened(self, axes: tuple[str, ...], tell: Callable[[int], None]) -> Tried:
        if self._feeder is None or self.frozen is None:
            return Tried(self._asker.assumed, {}, ())
        usual = kind_of(self._task.modality).usual_inputs(self._task)
        if usual.sizes and usual.side < self._own_side <= max(usual.sizes):  # a network of the very data
            usual = usual._replace(sizes=tuple(sorted({*usual.sizes, self._own_side})))
        return screen(self._feeder, usual, self.frozen, self._task, axes, tell)

    def _changed(self, verdict: Verdict) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        if verdict.way is not None and self.frozen is not None:
            changed |= changed_form(self.frozen.form, self._asker.assumed, verdict.way.way)
        if verdict.order is not None:
            changed[CLASSES] = output_names(verdict.order.order, self._task.classes)
        return changed


def _frozen(teacher: Teacher) -> Frozen | None:
    """The network that can be fed otherwise, or None."""
    inner = whole(teacher)
    return inner.frozen if isinstance(inner, NetworkTeacher) else None
