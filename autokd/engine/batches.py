"""The batches of an epoch, and the answers on them of the models that do not train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from autokd.engine.answers import Views, as_teacher_sees, open_answers
from autokd.engine.context import TrainContext
from autokd.engine.epoch import PassPart, draw_rows
from autokd.engine.rung import Epoch
from autokd.engine.step import LiveRun
from autokd.engine.unlabelled import partners_alike, pieces_of
from autokd.engine.views import DeviceData, augmented_view, fetch, normalise
from autokd.seeds import generator
from autokd.spec import PipelineSpec
from autokd.types import Batch, DrawnRows, Inputs, Output, Rows, Split


def draw_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch
) -> Iterator[tuple[Batch, Mapping[str, Output], float]]:
    """Yield an epoch's batches, the answers on them by name, and the share of training done before each."""
    seen = 0
    for part in run.passes.parts_of(epoch.number):
        for batch, answered, u in _pass_batches(context, spec, run, epoch, part, seen):
            yield batch, answered, u
            seen += batch.index.shape[0]


def _pass_batches(
    context: TrainContext, spec: PipelineSpec, run: LiveRun, epoch: Epoch, part: PassPart, seen: int
) -> Iterator[tuple[Batch, Mapping[str, Output], float]]:
    """Yield the batches of a part of a pass, as `draw_batches` does, after so many samples of the epoch."""
    size, profile = len(context.data.train), context.profile
    with profile.part("data"):
        begin = run.passes.begin(part.number, epoch.epochs)
        selected = draw_rows(run.selection, part.number, epoch.view_seed, begin, run.pool)
        views = _draw_views(context, run, epoch, part.number, selected)
    with profile.part("teacher"):
        read = run.sources_between(epoch.number / epoch.epochs, (epoch.number + 1) / epoch.epochs)
        answers = open_answers(context, spec, read, views)
    pieces = _pieces(run, epoch.seed, part.number, selected)[part.first : part.last]
    live = any(not source.stored for source in read.values())
    seen_by = as_teacher_sees(context, spec) if live else context.data_for(spec)
    batches = _batches(Seen(context, spec, seen_by), views, pieces, selected)
    while True:
        context.alive()
        with profile.part("data"):
            batch, seen_by_teacher = next(batches, (None, None))
        if batch is None or seen_by_teacher is None:
            return
        u = (epoch.number + seen / size) / epoch.epochs
        with profile.part("teacher"):
            answered = {name: answers[name].of(batch, seen_by_teacher) for name in answers.keys() & run.reads_at(u)}
        yield batch, answered, u
        seen += batch.index.shape[0]


def _pieces(run: LiveRun, seed: int, number: int, selected: DrawnRows | None) -> tuple[Tensor, ...]:
    """The rows of each batch of a pass, in a new order."""
    shuffle = generator(seed, "order", number)
    if run.pool is not None and selected is not None:
        return pieces_of(selected.rows, run.pool.first, run.passes.steps, shuffle)
    order = torch.randperm(run.passes.size, generator=shuffle)
    return (order if selected is None else selected.rows[order]).tensor_split(run.passes.steps)


def _draw_views(context: TrainContext, run: LiveRun, epoch: Epoch, number: int, selected: DrawnRows | None) -> Views:
    """Draw the views of a pass; a selected sample is mixed with selected ones only.

    Stored answers are about the selected samples. Where the same views come again with other samples, they are about
    all of them at once.
    """
    again = context.views if any(source.stored for source in run.sources.values()) else 0
    draws = generator(epoch.view_seed, "views", number % again if again else number)
    size = len(context.data.train) if run.pool is None else run.pool.end
    drawn = run.augment.draw(draws, size, run.passes.begin(number, epoch.epochs))
    whole = _of_all(run, drawn, again)
    if selected is not None and "partner" in drawn:
        drawn = {**drawn, "partner": _partners(run, drawn["partner"], selected.rows)}
    rows = {name: column.to(context.device, non_blocking=True) for name, column in drawn.items()}
    asked = None if selected is None or whole else selected.rows
    return Views(run.augment, epoch.view_seed, drawn, rows, asked)


def _of_all(run: LiveRun, drawn: Rows, again: int) -> bool:
    """Whether stored answers are about all samples of the set, not only those of a pass.

    Nobody is asked about all samples without labels, unless their views never change.
    """
    if run.pool is not None:
        return not drawn
    return run.selection.redraws and (not drawn or (again > 0 and "partner" not in drawn))


def _partners(run: LiveRun, partner: Tensor, rows: Tensor) -> Tensor:
    """Whom each sample is mixed with, of those that a pass goes over."""
    if run.pool is not None:
        return partners_alike(partner, rows, run.pool.first)
    return rows[partner % len(rows)]


class Seen(NamedTuple):
    """What batches are made of.

    Args:
      context, spec: of the run.
      by_teacher: its samples as the teacher sees them.
    """

    context: TrainContext
    spec: PipelineSpec
    by_teacher: DeviceData


def _batches(
    seen_data: Seen, views: Views, pieces: tuple[Tensor, ...], selected: DrawnRows | None
) -> Iterator[tuple[Batch, Inputs]]:
    """Yield the batches with these rows of the training set, and their inputs as the teacher sees them."""
    context, spec, finer = seen_data
    data, known = context.data_for(spec), _known_labels(context.split_for(spec), views.drawn)
    weights = None if selected is None else _by_row(selected, len(data.labels), context.device)
    ones = torch.ones(max(map(len, pieces)), device=context.device)
    seen = None
    if finer is not data:
        seen = (augmented_view(finer, views.augment, views.rows, each) for each in fetch(finer, views.drawn, pieces))
    for piece, fetched in zip(pieces, fetch(data, views.drawn, pieces), strict=True):
        view = augmented_view(data, views.augment, views.rows, fetched)
        batch = Batch(
            normalise(data, view.inputs),
            view.targets,
            ones[: len(piece)] if weights is None else weights[fetched.index],
            fetched.index,
            None if known is None else known[piece],
        )
        yield batch, batch.inputs if seen is None else normalise(data, next(seen).inputs)


def _by_row(selected: DrawnRows, size: int, device: torch.device) -> Tensor | None:
    """The selected samples' weights as a column of the whole set, [N]; None where all count alike."""
    if selected.weights is None:
        return None
    return torch.zeros(size).index_copy(0, selected.rows, selected.weights).to(device, non_blocking=True)


def _known_labels(train: Split, drawn: Rows) -> Tensor | None:
    """Whether each sample's label is known, [N] on the CPU: of a mixed one, both labels; None where all are."""
    if train.labelled is None or "partner" not in drawn:
        return train.labelled
    return train.labelled & train.labelled[drawn["partner"]]
