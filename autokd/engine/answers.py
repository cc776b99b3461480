"""The answers of models that do not train, by name: read from the bank, or given as each batch is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from autokd import batching
from autokd.components import LossComponent
from autokd.declarations import NO_MEMBERS, NO_VIEWS, Loss
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import CHUNK, MANY_CLASSES, TOP, Block, Group
from autokd.engine.views import DeviceData, augmented_view, fetch, normalise, policy_key, rows_key
from autokd.engine.views import ask as ask_teacher
from autokd.errors import ComponentError
from autokd.spec import PipelineSpec, component_to_plain, fingerprint, is_teacher, member_of, members_read, read_by
from autokd.types import Augment, Batch, Inputs, Output, Rows, Teacher

STORABLE = frozenset({"features", "pooled"})
"""Parts of a teacher's output that the bank can hold."""


class Answers(Protocol):
    """What a model says of a pass's views."""

    def of(self, batch: Batch, seen: Inputs) -> Output:
        """Return its outputs on a batch, detached, in the batch's order.

        Args:
          batch: as the student sees it.
          seen: its inputs as the teacher does.
        """


@dataclass(frozen=True)
class Stored:
    """Answers under the pass's views, computed once and kept in the bank.

    Args:
      block: on some samples of the training set, in ascending order.
      place: [N] int64 on the device, where each sample is in the block; None: it has all.
    """

    block: Block
    place: Tensor | None = None

    def of(self, batch: Batch, seen: Inputs) -> Output:
        """Read them by the rows of the training set."""
        return self.block.output(batch.index if self.place is None else self.place[batch.index])


@dataclass(frozen=True)
class Live:
    """Answers that a teacher gives as each batch is made."""

    teacher: Teacher

    def of(self, batch: Batch, seen: Inputs) -> Output:
        """Ask the teacher."""
        return self.teacher.predict(seen)


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
    """The views of a pass: a table of augmentation parameters for the whole training set.

    Args:
      augment: the policy.
      seed: the view seed that the table was drawn from.
      drawn: the table, on the CPU.
      rows: the same, on the device.
      asked: [n] int64 on the CPU, the samples that stored answers are about, in ascending order; None: all.
    """

    augment: Augment
    seed: int
    drawn: Rows
    rows: Rows
    asked: Tensor | None = None


def find_sources(context: TrainContext, spec: PipelineSpec) -> dict[str, Source]:
    """Return where the answers come from that a pipeline's losses read, by name; {} where they read none.

    Raises:
      ComponentError: the pipeline changes samples, and the teacher answers about them as they are; or a loss reads the
        members of an ensemble, and the teacher is none.
    """
    losses = [loss for loss in spec.losses.values() if is_teacher(read_by(loss))]
    if not losses:
        return {}
    assert context.teacher is not None, "a loss reads the teacher, but there is none"
    if spec.augment.declares.changes and not context.teacher.offers.views:
        raise ComponentError(f"augment.{component_to_plain(spec.augment)['use']}: it {NO_VIEWS}; take none")
    reading = _reading(losses, context.teacher)
    teachers = {name: _named(context.teacher, name) for name in reading}
    return {name: Source(each, _kept(context, each, reading[name])) for name, each in teachers.items()}


def _reading(losses: Sequence[LossComponent], teacher: Teacher) -> dict[str, list[Loss]]:
    """What those declare that read each name's answers, in the order of the losses."""
    reading: dict[str, list[Loss]] = {}
    for loss in losses:
        for name in _names_read(loss, teacher):
            reading.setdefault(name, []).append(loss.declares)
    return reading


def _names_read(loss: LossComponent, teacher: Teacher) -> tuple[str, ...]:
    """The name that a loss reads, or those of all members.

    Raises:
      ComponentError: there are no members.
    """
    if not loss.declares.members:
        return (read_by(loss),)
    names = members_read(loss, len(teacher.offers.members))
    if not names:
        use = component_to_plain(loss)["use"]
        raise ComponentError(f"losses.{use}: it {NO_MEMBERS}; give several teachers, or leave it out")
    return names


def _named(teacher: Teacher, name: str) -> Teacher:
    """The teacher, or a member of it where it is an ensemble.

    Raises:
      ComponentError: it has no such member.
    """
    number, members = member_of(name), getattr(teacher, "members", ())
    if number > len(members):
        raise ComponentError(f"losses: one reads {name}, and the teacher has {len(members) or 'no'} members")
    return members[number - 1] if number else teacher


def open_answers(
    context: TrainContext, spec: PipelineSpec, sources: Mapping[str, Source], views: Views
) -> dict[str, Answers]:
    """Return a pass's answers by name: looked up in the bank, or computed for it, where they are stored."""
    return {name: _open(context, spec, source, views) for name, source in sources.items()}


def _kept(context: TrainContext, teacher: Teacher, reading: Sequence[Loss]) -> frozenset[str] | None:
    """The parts that the bank keeps, if all that the losses need can be kept there."""
    read = frozenset(part for declared in reading for part in declared.reads)
    if not teacher.offers.views or not any(declared.teacher == "live" for declared in reading):
        return (read | context.parts) & (STORABLE - {"features"})
    if not read <= STORABLE or not context.bank.holds_features(teacher.offers, len(context.data.train)):
        return None
    return (read | context.parts) & STORABLE


def _open(context: TrainContext, spec: PipelineSpec, source: Source, views: Views) -> Answers:
    if source.kept is None:
        return Live(source.teacher)
    data, asked = as_teacher_sees(context, spec), views.asked
    size = len(data.labels)
    rows = torch.arange(size) if asked is None else asked

    def ask() -> Iterator[Output]:
        for fetched in fetch(data, views.drawn, torch.split(rows, CHUNK)):
            context.alive()
            view = augmented_view(data, views.augment, views.rows, fetched)
            yield ask_teacher(source.teacher, data, fetched.index, normalise(data, view.inputs))

    group = _group(context, spec, source.teacher, views.seed, data)
    view = rows_key(views.drawn if asked is None else {**views.drawn, "(asked)": asked})
    block = context.bank.block(group, view, ask, context.device, source.kept)
    if asked is None:
        return Stored(block)
    place = torch.zeros(size, dtype=torch.int64).index_copy(0, asked, torch.arange(len(asked)))
    return Stored(block, place.to(context.device, non_blocking=True))


def as_teacher_sees(context: TrainContext, spec: PipelineSpec) -> DeviceData:
    """Return the training split as the teacher sees it under a policy.

    One that cannot change samples of another size alike shows it the student's own views.
    """
    data = context.data_for(spec)
    return data.of_teacher if spec.augment.declares.any_size else data


def _group(context: TrainContext, spec: PipelineSpec, teacher: Teacher, view_seed: int, data: DeviceData) -> Group:
    task = context.data.task
    seen = context.data_for(spec)
    finer = [] if data is seen else [batching.tensors(data.inputs)[0].shape[1:]]
    pool = [] if seen is context.train_data else ["and without labels"]
    views = [task.fingerprint, policy_key(spec.augment), view_seed, *map(list, finer), *pool]
    key = fingerprint([teacher.fingerprint, *views, CHUNK, MANY_CLASSES, TOP, "float16", context.device.type])
    about = {
        "teacher": teacher.origin,
        "dataset": task.dataset,
        "augment": component_to_plain(spec.augment),
        "view_seed": view_seed,
    }
    return Group(key, about)
