"""Making what the components of a pipeline prepare before it is trained: each artefact once, for all runs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import NamedTuple, cast

from torch import Tensor

from autokd import batching
from autokd.components import PreparedComponent
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import normalise, raw_view
from autokd.networks.inputs import kind_of
from autokd.networks.models import seeded
from autokd.networks.remade import copied
from autokd.spec import PipelineSpec, bare, component_to_plain, components, from_plain
from autokd.types import PrepareContext

REFERENCE_SAMPLES = 20_000
"""Samples that a reference network is trained on, about; at least `REFERENCE_EPOCHS` times all that it is given."""
REFERENCE_EPOCHS = 2


class Prepared(NamedTuple):
    """An artefact that was made.

    Args:
      component: what it is of: "selection.difference_sampling", "losses.lelp".
      key: its fingerprint.
      seconds: of making it.
    """

    component: str
    key: str
    seconds: float


def prepare_artefacts(context: TrainContext, spec: PipelineSpec) -> Iterator[Prepared]:
    """Make the artefacts that a pipeline needs and that are not there yet; yield each that was made.

    Args:
      context: data, teacher, device, and where artefacts are kept.
      spec: the pipeline.

    Raises:
      ComponentError: one needs a teacher and there is none, or cannot be made.
      TrialFailure: the training of a reference network diverged.
    """
    for path, component in components(spec):
        if component.declares.prepared_from is None:
            continue
        key = context.artefact_key(component)
        if context.artefacts.find(key) is not None:
            continue
        with context.artefacts.being_made(key, context.alive):
            if context.artefacts.find(key) is None:  # nobody else has made it meanwhile
                began = time.perf_counter()
                made = cast(PreparedComponent, bare(component)).prepare(_prepare_context(context, component))
                context.artefacts.keep(key, made)
                use = component_to_plain(component)["use"]
                yield Prepared(path if path.endswith(f".{use}") else f"{path}.{use}", key, time.perf_counter() - began)


def _prepare_context(context: TrainContext, component: PreparedComponent) -> PrepareContext:
    """What a component may look at when it prepares."""
    train, teacher, copies = context.data.train, context.teacher, context.copies_teacher(component)
    return PrepareContext(
        task=context.data.task,
        labels=train.labels,
        labelled=train.labelled,
        teacher=context.clean_answers.outputs if context.reads_teacher(component) and not copies else None,
        reference=lambda rows, seed: reference_logits(context, rows, seed),
        network=(lambda: copied(teacher).to(context.device)) if copies and teacher is not None else None,
        inputs=lambda rows: normalise(context.train_data, raw_view(context.train_data, rows.to(context.device)).inputs),
    )


def reference_epochs(rows: int) -> int:
    """Return for how many epochs a reference network is trained on so many rows, at least 1."""
    return max(REFERENCE_EPOCHS, math.ceil(REFERENCE_SAMPLES / rows))


def reference_logits(context: TrainContext, rows: Tensor, seed: int) -> Tensor:
    """Return what a small network, trained on the labels of some samples, says of all: [N, C], float32, on the CPU.

    Args:
      context: data and device; its teacher is not asked.
      rows: [n] int64, rows of the training set; their labels are known.
      seed: decides everything random.

    Raises:
      ComponentError: for this kind of input there is no such network.
      TrialFailure: the training diverged.
    """
    data, task = context.data, context.data.task
    spec = from_plain(kind_of(task.modality).reference_pipeline(task))
    train = batching.take_split(data.train, rows)
    few = dataclasses.replace(data, train=train, task=dataclasses.replace(task, train_size=len(rows)))
    where = dataclasses.replace(context, data=few, teacher=None, bank=TeacherBank(), views=0)
    samples = len(rows) * reference_epochs(len(rows))
    _, trained = train_rung(where, spec, Rung(seed=seed, view_seed=seed, horizon=samples, until=samples))
    with seeded(seed):
        network = build_student(spec.student, task, context.device, head=spec.head)
    network.load_state_dict(trained["student"])
    return predict(network, context.train_data)
