"""From a pipeline to the live objects of a training run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import nn

from autokd.components import HeadComponent, InitComponent, LossComponent, StudentComponent
from autokd.engine.answers import find_sources
from autokd.engine.context import TrainContext
from autokd.engine.ema import RunningAverage
from autokd.engine.epoch import passes_of
from autokd.engine.precision import train_dtype
from autokd.engine.qat import QuantisationAware
from autokd.engine.start import Started
from autokd.engine.step import LiveRun
from autokd.engine.trained import PEER, STUDENT, TrainedNetwork, WeightedTerm
from autokd.engine.unlabelled import pool_of
from autokd.networks.cost import student_cost
from autokd.networks.inputs import feed_of
from autokd.networks.models import shapes_of
from autokd.spec import PipelineSpec, keys_of, members_read, offered_by, read_by
from autokd.types import BuildContext, Selection, Shapes, Task, TeacherHead

MAX_NORM = 5.0
"""Norm to which gradients are cut where a loss reads the teacher or more than logits. Losses on features and their
untrained projectors, at the ends of their weights' ranges, send a student to infinity in the first epoch; so does a
teacher that is very sure of itself, with the squared temperature as a factor, at a rate that is good without one."""


def build_student(
    component: StudentComponent,
    task: Task,
    device: torch.device | None = None,
    *,
    head: HeadComponent | None = None,
    teacher: Shapes | None = None,
    teacher_head: TeacherHead | None = None,
) -> nn.Module:
    """Build a student network from the current random state, in the memory layout that suits its inputs.

    Args:
      component: the student.
      task: the task.
      device: where to put it.
      head: the component that is part of the student; None for the bare student.
      teacher, teacher_head: what a head may build on; see `autokd.types.BuildContext`.
    """
    student = component.build(BuildContext(task=task))
    if head is not None:
        student = head.build(BuildContext(task=task, teacher=teacher, teacher_head=teacher_head))(student)
    student = student.to(device) if device is not None else student
    return feed_of(task).lay_out(student)


def build_run(context: TrainContext, spec: PipelineSpec, horizon: int) -> LiveRun:
    """Build the networks that train, their losses and optimizers, schedule, augmentation and selection, on the device.

    The student comes first, so that it begins with the same weights with and without a peer.

    Args:
      context: data, teacher, device.
      spec: the pipeline.
      horizon: samples that the schedules count on.
    """
    task = context.data.task
    offers = None if context.teacher is None else context.teacher.offers
    teacher_head = context.teacher.head if context.teacher is not None and context.teacher.offers.head else None
    started = _started(context, spec.student, spec.init)
    student = build_student(started, task, context.device, head=spec.head, teacher=offers, teacher_head=teacher_head)
    networks = {STUDENT: student}
    if spec.peer is not None:
        networks[PEER] = build_student(_started(context, spec.peer, None), task, context.device)
    there = {name: shapes_of(network, task) for name, network in networks.items()}
    build_context = BuildContext(task=task, student=there[STUDENT], teacher=offers)
    selection = _selection(context, spec, build_context)
    pool = pool_of(context.data, spec, selection.size)
    passes = passes_of(task, spec, selection.size, pool)
    build_context = dataclasses.replace(
        build_context,
        task=dataclasses.replace(task, train_size=task.train_size if pool is None else pool.end),
        horizon_steps=passes.steps_until(horizon // task.train_size),
    )
    trained = {name: _trained(context, spec, build_context, name, networks, there) for name in networks}
    return LiveRun(
        networks={**trained, STUDENT: _as_delivered(trained[STUDENT], spec)},
        schedule=spec.schedule.build(context.prepared(spec.schedule, build_context)),
        augment=spec.augment.build(context.prepared(spec.augment, build_context)),
        selection=selection,
        passes=passes,
        pool=pool,
        sources=find_sources(context, spec),
        notes=tuple(started.notes),
    )


def _started(context: TrainContext, student: StudentComponent, init: InitComponent | None) -> Started:
    """A student with the weights that its networks begin with."""
    prepared = context.prepared(student, BuildContext(task=context.data.task))
    return Started(student, init, prepared.artefact)


def _trained(
    context: TrainContext,
    spec: PipelineSpec,
    build_context: BuildContext,
    name: str,
    networks: Mapping[str, nn.Module],
    there: Mapping[str, Shapes],
) -> TrainedNetwork:
    """A network in training, with its losses and its optimizer.

    Args:
      build_context: of the student.
      name: of the network.
      networks: all that train.
      there: what they offer.
    """
    network, component = networks[name], spec.student if name == STUDENT else spec.peer
    assert component is not None
    losses, terms = losses_of(spec, name), {}
    for key, (loss, read) in losses.items():
        offers = there.get(read, build_context.teacher)
        offers = offers if offers is None else offered_by(read, offers)
        seen = dataclasses.replace(build_context, student=there[name], teacher=offers)
        terms[key] = _term(context, loss, read, seen)
    term_modules = nn.ModuleDict({key: t.term for key, t in terms.items() if isinstance(t.term, nn.Module)})
    make_optimizer = spec.optimizer.build(context.prepared(spec.optimizer, build_context))
    optimizer = make_optimizer([*network.parameters(), *term_modules.parameters()])
    macs = student_cost(component, build_context.task).macs * spec.batch_size
    dtype = train_dtype(context.precision, network, macs, context.device)
    network.train()
    term_modules.train()
    return TrainedNetwork(
        network=network,
        terms=terms,
        term_modules=term_modules,
        optimizer=optimizer,
        peak_rates=tuple(group["lr"] for group in optimizer.param_groups),
        scaler=torch.amp.GradScaler(context.device.type, enabled=dtype == torch.float16),
        dtype=dtype,
        max_norm=MAX_NORM if any(map(_may_explode, losses.values())) else None,
    )


def _as_delivered(trained: TrainedNetwork, spec: PipelineSpec) -> TrainedNetwork:
    """The student with its running average and quantised in training, where the pipeline asks for that."""
    trained.average = RunningAverage(trained.network, spec.ema) if spec.ema else None
    trained.quantised = QuantisationAware(spec.qat) if spec.qat is not None and spec.qat < 1 else None
    return trained


def losses_of(spec: PipelineSpec, name: str) -> dict[str, tuple[LossComponent, str]]:
    """Return the losses by which a network learns, each with the name of whose answers it reads; "" for nobody's.

    The student learns by all. A peer learns by those that read no teacher: from the labels by the same losses as the
    student, and from the student by those by which the student learns from it.
    """
    every = {key: (loss, read_by(loss)) for key, loss in spec.losses.items()}
    if name == STUDENT:
        return every
    mirrored = {"": "", name: STUDENT}
    return {key: (loss, mirrored[read]) for key, (loss, read) in every.items() if read in mirrored}


def _may_explode(loss: tuple[LossComponent, str]) -> bool:
    component, read = loss
    return bool(read or component.declares.student_reads)


def _selection(context: TrainContext, spec: PipelineSpec, build_context: BuildContext) -> Selection:
    """What a pipeline draws of the training set; all of it where it does not say."""
    if spec.selection is None:
        return Selection(build_context.task.train_size)
    return spec.selection.build(context.prepared(spec.selection, build_context))


def _term(context: TrainContext, loss: LossComponent, read: str, build_context: BuildContext) -> WeightedTerm:
    term, keys = loss.build(context.prepared(loss, build_context)), keys_of(loss)
    members = members_read(loss, len(build_context.teacher.members) if build_context.teacher is not None else 0)
    return WeightedTerm(
        term=term.to(context.device) if isinstance(term, nn.Module) else term,
        weight=loss.weight * loss.declares.scale.value,
        reads="" if members else read,
        members=members,
        reads_labels=loss.declares.reads_labels,
        begin=keys.begin,
        end=keys.end,
    )
