"""The batches of an epoch, and the teacher's outputs on them: from the bank, or asked as the batch is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from autokd.engine.build import STORABLE, stored_parts
from autokd.engine.context import TrainContext
from autokd.engine.epoch import PassPart, draw_rows
from autokd.engine.rung import Epoch
from autokd.engine.step import LiveRun
from autokd.engine.teacher_bank import CHUNK, MANY_CLASSES, TOP, Block, Group
from autokd.engine.views import augmented_view, fetch, normalise, policy_key, rows_key
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec, component_to_plain, fingerprint
from autokd.types import Batch, DrawnRows, Output, Rows, Split


def draw_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch
) -> Iterator[tuple[Batch, Output | None, float]]:
    """Yield an epoch's batches, the teacher's outputs on them, and the share of training done before each."""
    size, seen = len(context.data.train), 0
    for part in run.passes.parts_of(epoch.number):
        for batch, teacher in _pass_batches(context, spec, run, epoch, part):
            yield batch, teacher, (epoch.number + seen / size) / epoch.epochs
            seen += len(batch.index)


class _Pass(NamedTuple):
    """What a pass goes over.

    Args:
      table: of augmentation parameters for the whole set, on the CPU.
      rows: the table on the device.
      selected: what the selection drew; None: all samples.
    """

    table: Rows
    rows: Rows
    selected: DrawnRows | None


def _pass_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch, part: PassPart
) -> Iterator[tuple[Batch, Output | None]]:
    """Yield the batches of a part of a pass, and the teacher's outputs on them."""
    profile = context.profile
    with profile.part("data"):
        drawn = _draw_pass(context, run, epoch, part.number)
    with profile.part("teacher"):
        stored = _stored_outputs(context, spec, run, epoch, drawn)
    batches = _batches(context, run, drawn, part, derive(epoch.seed, "order", part.number))
    while True:
        context.alive()
        with profile.part("data"):
            batch = next(batches, None)
        if batch is None:
            return
        with profile.part("teacher"):
            teacher = _answer(context, run, stored, batch)
        yield batch, teacher


def _draw_pass(context: TrainContext, run: LiveRun, epoch: Epoch, number: int) -> _Pass:
    """Draw rows and views of a pass; a selected sample is mixed with selected ones only."""
    again = context.views if run.teacher_mode == "stored" else 0
    view = number % again if again else number
    u = run.passes.begin(number, epoch.epochs)
    selected = draw_rows(run.selection, number, epoch.view_seed, u)
    table = run.augment.draw(generator(epoch.view_seed, "views", view), run.passes.train, u)
    if selected is not None and "partner" in table:
        table = {**table, "partner": selected.rows[table["partner"] % len(selected.rows)]}
    rows = {name: column.to(context.device, non_blocking=True) for name, column in table.items()}
    return _Pass(table, rows, selected)


def _batches(context: TrainContext, run: LiveRun, drawn: _Pass, part: PassPart, order_seed: int) -> Iterator[Batch]:
    """Yield the batches of a part of a pass."""
    data, selected = context.train_data, drawn.selected
    order = torch.randperm(run.passes.size, generator=torch.Generator().manual_seed(order_seed))
    order = order if selected is None else selected.rows[order]
    pieces = order.tensor_split(run.passes.steps)[part.first : part.last]
    ones = torch.ones(len(order), device=context.device)
    weights = None if selected is None else _by_row(selected, run.passes.train, context.device)
    known = _known_labels(context.data.train, drawn.table)
    for piece, fetched in zip(pieces, fetch(data, drawn.table, pieces), strict=True):
        view = augmented_view(data, run.augment, drawn.rows, fetched)
        yield Batch(
            normalise(data, view.inputs),
            view.targets,
            ones[: len(fetched.index)] if weights is None else weights[fetched.index],
            fetched.index,
            None if known is None else known[piece],
        )


def _by_row(selected: DrawnRows, size: int, device: torch.device) -> Tensor | None:
    """The selected samples' weights as a column of the whole set, [N]; None where all count alike."""
    if selected.weights is None:
        return None
    return torch.zeros(size).index_copy(0, selected.rows, selected.weights).to(device, non_blocking=True)


def _known_labels(train: Split, table: Rows) -> Tensor | None:
    """Whether each sample's label is known, [N] on the CPU: of a mixed one, both labels; None where all are."""
    if train.labelled is None or "partner" not in table:
        return train.labelled
    return train.labelled & train.labelled[table["partner"]]


class _Stored(NamedTuple):
    """Stored outputs of the teacher.

    Args:
      block: of some samples, in ascending order.
      place: [N] int64 on the device, where each sample is in the block; None: it has all.
    """

    block: Block
    place: Tensor | None

    def output(self, index: Tensor) -> Output:
        """Return the outputs of some samples."""
        return self.block.output(index if self.place is None else self.place[index])


def _stored_outputs(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch, drawn: _Pass
) -> _Stored | None:
    """The teacher's outputs on this pass's views of the samples that were drawn, where they are read from the bank.

    Where the same views come again with other samples, the teacher is asked about all of them at once.
    """
    if run.teacher_mode != "stored":
        return None
    teacher = context.teacher
    assert teacher is not None, "a loss reads the teacher, but there is none"
    data, selected = context.train_data, drawn.selected
    come_again = not drawn.table or (context.views > 0 and "partner" not in drawn.table)
    if run.selection.redraws and come_again:
        selected = None
    asked = torch.arange(len(data.labels)) if selected is None else selected.rows

    def answers() -> Iterator[Output]:
        for fetched in fetch(data, drawn.table, torch.split(asked, CHUNK)):
            context.alive()
            yield teacher.predict(normalise(data, augmented_view(data, run.augment, drawn.rows, fetched).inputs))

    parts = (stored_parts(spec) | context.parts) & STORABLE
    if not any(loss.declares.teacher == "live" for loss in spec.losses.values()):
        parts -= {"features"}
    view = rows_key(drawn.table if selected is None else {**drawn.table, "(selected)": selected.rows})
    block = context.bank.block(_group(context, spec, epoch.view_seed), view, answers, context.device, parts)
    if selected is None:
        return _Stored(block, None)
    place = torch.zeros(len(data.labels), dtype=torch.int64).index_copy(0, asked, torch.arange(len(asked)))
    return _Stored(block, place.to(context.device, non_blocking=True))


def _group(context: TrainContext, spec: PipelineSpec, view_seed: int) -> Group:
    teacher, task = context.teacher, context.data.task
    assert teacher is not None
    views = [task.fingerprint, policy_key(spec.augment), view_seed]
    key = fingerprint([teacher.fingerprint, *views, CHUNK, MANY_CLASSES, TOP, "float16", context.device.type])
    about = {
        "teacher": teacher.origin,
        "dataset": task.dataset,
        "augment": component_to_plain(spec.augment),
        "view_seed": view_seed,
    }
    return Group(key, about)


def _answer(context: TrainContext, run: LiveRun, stored: _Stored | None, batch: Batch) -> Output | None:
    if stored is not None:
        return stored.output(batch.index)
    if run.teacher_mode == "live":
        assert context.teacher is not None, "a loss reads the teacher, but there is none"
        return context.teacher.predict(batch.inputs)
    return None
