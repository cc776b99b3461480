"""From a pipeline to the live objects of a training run."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn

from autokd.components import HeadComponent, LossComponent, StudentComponent
from autokd.engine.answers import TEACHER, find_sources
from autokd.engine.context import TrainContext
from autokd.engine.ema import RunningAverage
from autokd.engine.precision import train_dtype
from autokd.engine.step import LiveRun
from autokd.engine.trained import STUDENT, TrainedNetwork, WeightedTerm
from autokd.networks.inputs import feed_of
from autokd.networks.models import shapes_of
from autokd.spec import PipelineSpec, keys_of
from autokd.types import BuildContext, Shapes, Task, TeacherHead

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
    """Build the networks that train, their losses and optimizers, schedule and augmentation, on the device.

    Args:
      context: data, teacher, device.
      spec: the pipeline.
      horizon: samples that the schedules count on.
    """
    task = context.data.task
    offers = None if context.teacher is None else context.teacher.offers
    teacher_head = context.teacher.head if context.teacher is not None and context.teacher.offers.head else None
    student = build_student(
        spec.student, task, context.device, head=spec.head, teacher=offers, teacher_head=teacher_head
    )
    build_context = BuildContext(
        task=task,
        student=shapes_of(student, task),
        teacher=offers,
        horizon_steps=math.ceil(task.train_size / spec.batch_size) * (horizon // task.train_size),
    )
    return LiveRun(
        networks={STUDENT: _with_average(_trained(context, spec, student, build_context), spec)},
        schedule=spec.schedule.build(build_context),
        augment=spec.augment.build(build_context),
        sources=find_sources(context, spec),
    )


def _trained(
    context: TrainContext, spec: PipelineSpec, network: nn.Module, build_context: BuildContext
) -> TrainedNetwork:
    """A network in training, with its losses and its optimizer."""
    terms = {name: _term(context, loss, build_context) for name, loss in spec.losses.items()}
    term_modules = nn.ModuleDict({name: t.term for name, t in terms.items() if isinstance(t.term, nn.Module)})
    optimizer = spec.optimizer.build(build_context)([*network.parameters(), *term_modules.parameters()])
    dtype = train_dtype(context.precision, network, spec, build_context.task, context.device)
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
        max_norm=MAX_NORM if _may_explode(spec) else None,
    )


def _with_average(trained: TrainedNetwork, spec: PipelineSpec) -> TrainedNetwork:
    """The network with its running average, where the pipeline asks for one."""
    trained.average = RunningAverage(trained.network, spec.ema) if spec.ema else None
    return trained


def _may_explode(spec: PipelineSpec) -> bool:
    return spec.needs_teacher or any(loss.declares.student_reads for loss in spec.losses.values())


def _term(context: TrainContext, loss: LossComponent, build_context: BuildContext) -> WeightedTerm:
    reads = TEACHER if loss.declares.teacher != "none" else ""
    artefact = context.artefact(loss) if reads else None
    if artefact is not None:
        build_context = dataclasses.replace(build_context, artefact=artefact)
    term = loss.build(build_context)
    weight, keys = loss.weight * loss.declares.scale.value, keys_of(loss)
    placed = term.to(context.device) if isinstance(term, nn.Module) else term
    return WeightedTerm(placed, weight, reads, begin=keys.begin, end=keys.end)
