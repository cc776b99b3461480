"""The batches of an epoch, and the answers on them of the models that do not train."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from autokd.engine.answers import Views, open_answers
from autokd.engine.context import TrainContext
from autokd.engine.rung import Epoch
from autokd.engine.step import LiveRun
from autokd.engine.views import augmented_view, fetch, normalise
from autokd.seeds import derive, generator
from autokd.spec import PipelineSpec
from autokd.types import Batch, Output


def draw_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch
) -> Iterator[tuple[Batch, Mapping[str, Output], float]]:
    """Yield an epoch's batches, the answers on them by name, and the share of training done before each."""
    size, profile = len(context.data.train), context.profile
    with profile.part("data"):
        views = _draw_views(context, run, epoch)
    with profile.part("teacher"):
        read = run.sources_between(epoch.number / epoch.epochs, (epoch.number + 1) / epoch.epochs)
        answers = open_answers(context, spec, read, views)
    seen = 0
    batches = _batches(context, spec, views, derive(epoch.seed, "order", epoch.number))
    while True:
        context.alive()
        with profile.part("data"):
            batch = next(batches, None)
        if batch is None:
            return
        u = (epoch.number + seen / size) / epoch.epochs
        with profile.part("teacher"):
            answered = {name: answers[name].of(batch) for name in answers.keys() & run.reads_at(u)}
        yield batch, answered, u
        seen += len(batch.index)


def _draw_views(context: TrainContext, run: LiveRun, epoch: Epoch) -> Views:
    again = context.views if any(source.stored for source in run.sources.values()) else 0
    number = epoch.number % again if again else epoch.number
    draws = generator(epoch.view_seed, "views", number)
    drawn = run.augment.draw(draws, len(context.data.train), epoch.number / epoch.epochs)
    rows = {name: column.to(context.device, non_blocking=True) for name, column in drawn.items()}
    return Views(run.augment, epoch.view_seed, drawn, rows)


def _batches(context: TrainContext, spec: PipelineSpec, views: Views, order_seed: int) -> Iterator[Batch]:
    """Yield the epoch's batches: near-equal sizes, so that no batch of one sample is left over."""
    data = context.train_data
    size = len(data.labels)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(order_seed))
    weight = torch.ones(size, device=context.device)
    for fetched in fetch(data, views.drawn, order.tensor_split(math.ceil(size / spec.batch_size))):
        view = augmented_view(data, views.augment, views.rows, fetched)
        yield Batch(normalise(data, view.inputs), view.targets, weight[: len(fetched.index)], fetched.index)
