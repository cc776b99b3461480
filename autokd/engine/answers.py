"""The answers of models that do not train, by name: read from the bank, or given as each batch is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from autokd.declarations import Loss
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import CHUNK, MANY_CLASSES, TOP, Block, Group
from autokd.engine.views import augmented_view, fetch, normalise, policy_key, rows_key
from autokd.spec import TEACHER, PipelineSpec, component_to_plain, fingerprint, read_by
from autokd.types import Augment, Batch, Output, Rows, Teacher

STORABLE = frozenset({"features", "pooled"})
"""Parts of a teacher's output that the bank can hold."""


class Answers(Protocol):
    """What a model says of an epoch's views."""

    def of(self, batch: Batch) -> Output:
        """Return its outputs on a batch, detached, in the batch's order."""


@dataclass(frozen=True)
class Stored:
    """Answers on the whole training set under the epoch's views, computed once and kept in the bank."""

    block: Block

    def of(self, batch: Batch) -> Output:
        """Read them by the rows of the training set."""
        return self.block.output(batch.index)


@dataclass(frozen=True)
class Live:
    """Answers that a teacher gives as each batch is made."""

    teacher: Teacher

    def of(self, batch: Batch) -> Output:
        """Ask the teacher."""
        return self.teacher.predict(batch.inputs)


@dataclass(frozen=True)
class Source:
    """Where a run's answers come from.

    Args:
      teacher: who gives them.
      kept: parts of its outputs that the bank keeps beside the logits; None: nothing is kept, it is asked live.
    """

    teacher: Teacher
    kept: frozenset[str] | None

    @property
    def stored(self) -> bool:
        """Whether the bank keeps them."""
        return self.kept is not None


class Views(NamedTuple):
    """The views of an epoch: a table of augmentation parameters for the whole training set.

    Args:
      augment: the policy.
      seed: the view seed that the table was drawn from.
      drawn: the table, on the CPU.
      rows: the same, on the device.
    """

    augment: Augment
    seed: int
    drawn: Rows
    rows: Rows


def find_sources(context: TrainContext, spec: PipelineSpec) -> dict[str, Source]:
    """Return where the answers come from that a pipeline's losses read, by name; {} where they read none."""
    reading = [loss.declares for loss in spec.losses.values() if read_by(loss) == TEACHER]
    if not reading:
        return {}
    assert context.teacher is not None, "a loss reads the teacher, but there is none"
    return {TEACHER: Source(context.teacher, _kept(context, context.teacher, reading))}


def open_answers(
    context: TrainContext, spec: PipelineSpec, sources: Mapping[str, Source], views: Views
) -> dict[str, Answers]:
    """Return an epoch's answers by name: looked up in the bank, or computed for it, where they are stored."""
    return {name: _open(context, spec, source, views) for name, source in sources.items()}


def _kept(context: TrainContext, teacher: Teacher, reading: Sequence[Loss]) -> frozenset[str] | None:
    """The parts that the bank keeps, if all that the losses need can be kept there."""
    read = frozenset(part for declared in reading for part in declared.reads)
    if not any(declared.teacher == "live" for declared in reading):
        return (read | context.parts) & (STORABLE - {"features"})
    if not read <= STORABLE or not context.bank.holds_features(teacher.offers, len(context.data.train)):
        return None
    return (read | context.parts) & STORABLE


def _open(context: TrainContext, spec: PipelineSpec, source: Source, views: Views) -> Answers:
    if source.kept is None:
        return Live(source.teacher)
    data = context.train_data

    def ask() -> Iterator[Output]:
        for fetched in fetch(data, views.drawn, torch.split(torch.arange(len(data.labels)), CHUNK)):
            context.alive()
            yield source.teacher.predict(
                normalise(data, augmented_view(data, views.augment, views.rows, fetched).inputs)
            )

    group = _group(context, spec, source.teacher, views.seed)
    return Stored(context.bank.block(group, rows_key(views.drawn), ask, context.device, source.kept))


def _group(context: TrainContext, spec: PipelineSpec, teacher: Teacher, view_seed: int) -> Group:
    task = context.data.task
    views = [task.fingerprint, policy_key(spec.augment), view_seed]
    key = fingerprint([teacher.fingerprint, *views, CHUNK, MANY_CLASSES, TOP, "float16", context.device.type])
    about = {
        "teacher": teacher.origin,
        "dataset": task.dataset,
        "augment": component_to_plain(spec.augment),
        "view_seed": view_seed,
    }
    return Group(key, about)
