"""The batches of an epoch, and the teacher's outputs on them: from the bank, or asked as the batch is made."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from autokd.engine.build import STORABLE, stored_parts
from autokd.engine.context import TrainContext
from autokd.engine.rung import Epoch
from autokd.engine.step import LiveRun
from autokd.engine.teacher_bank import CHUNK, MANY_CLASSES, TOP, Block, Group
from autokd.engine.views import augmented_view, fetch, normalise, policy_key, rows_key
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec, component_to_plain, fingerprint
from autokd.types import Batch, Output, Rows


def draw_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch
) -> Iterator[tuple[Batch, Output | None, float]]:
    """Yield an epoch's batches, the teacher's outputs on them, and the share of training done before each."""
    size, profile = len(context.data.train), context.profile
    again = context.views if run.teacher_mode == "stored" else 0
    view = epoch.number % again if again else epoch.number
    with profile.part("data"):
        drawn = run.augment.draw(generator(epoch.view_seed, "views", view), size, epoch.number / epoch.epochs)
        rows = {name: column.to(context.device, non_blocking=True) for name, column in drawn.items()}
    with profile.part("teacher"):
        block = _stored_outputs(context, spec, run, epoch, drawn, rows)
    seen = 0
    batches = _batches(context, spec, run, drawn, rows, derive(epoch.seed, "order", epoch.number))
    while True:
        context.alive()
        with profile.part("data"):
            batch = next(batches, None)
        if batch is None:
            return
        u = (epoch.number + seen / size) / epoch.epochs
        with profile.part("teacher"):
            teacher = _answer(context, run, block, batch) if run.asks_teacher(u) else None
        yield batch, teacher, u
        seen += len(batch.index)


def _batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, drawn: Rows, rows: Rows, order_seed: int
) -> Iterator[Batch]:
    """Yield the epoch's batches: near-equal sizes, so that no batch of one sample is left over."""
    data = context.train_data
    size = len(data.labels)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(order_seed))
    weight = torch.ones(size, device=context.device)
    for fetched in fetch(data, drawn, order.tensor_split(math.ceil(size / spec.batch_size))):
        view = augmented_view(data, run.augment, rows, fetched)
        yield Batch(normalise(data, view.inputs), view.targets, weight[: len(fetched.index)], fetched.index)


def _stored_outputs(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch, drawn: Rows, rows: Rows
) -> Block | None:
    """The teacher's outputs on this epoch's views of the whole training set, where they are read from the bank."""
    ends = epoch.number / epoch.epochs, (epoch.number + 1) / epoch.epochs
    if run.teacher_mode != "stored" or not run.asks_teacher(*ends):
        return None
    teacher = context.teacher
    assert teacher is not None, "a loss reads the teacher, but there is none"
    data = context.train_data

    def answers() -> Iterator[Output]:
        for fetched in fetch(data, drawn, torch.split(torch.arange(len(data.labels)), CHUNK)):
            context.alive()
            yield teacher.predict(normalise(data, augmented_view(data, run.augment, rows, fetched).inputs))

    parts = (stored_parts(spec) | context.parts) & STORABLE
    if not any(loss.declares.teacher == "live" for loss in spec.losses.values()):
        parts -= {"features"}
    return context.bank.block(_group(context, spec, epoch.view_seed), rows_key(drawn), answers, context.device, parts)


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


def _answer(context: TrainContext, run: LiveRun, block: Block | None, batch: Batch) -> Output | None:
    if block is not None:
        return block.output(batch.index)
    if run.teacher_mode == "live":
        assert context.teacher is not None, "a loss reads the teacher, but there is none"
        return context.teacher.predict(batch.inputs)
    return None
