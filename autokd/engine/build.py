"""From a pipeline to the live objects of a training run."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from autokd.components import HeadComponent, LossComponent, StudentComponent
from autokd.engine.context import TrainContext
from autokd.engine.epoch import Passes
from autokd.engine.precision import train_dtype
from autokd.engine.step import LiveRun, WeightedTerm
from autokd.networks.inputs import feed_of
from autokd.networks.models import shapes_of
from autokd.spec import PipelineSpec
from autokd.types import BuildContext, Selection, Shapes, Task, TeacherHead

STORABLE = frozenset({"features", "pooled"})
"""Parts of a teacher's output that the bank can hold."""
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
    """Build student, losses, optimizer, schedule, augmentation and selection of a pipeline, on the device.

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
    build_context = BuildContext(task=task, student=shapes_of(student, task), teacher=offers)
    selection = _selection(context, spec, build_context)
    passes = Passes(task.train_size, selection.size, spec.batch_size)
    build_context = dataclasses.replace(build_context, horizon_steps=passes.steps_until(horizon // task.train_size))
    terms = {name: _term(context, loss, build_context) for name, loss in spec.losses.items()}
    term_modules = nn.ModuleDict({name: t.term for name, t in terms.items() if isinstance(t.term, nn.Module)})
    optimizer = spec.optimizer.build(build_context)([*student.parameters(), *term_modules.parameters()])
    dtype = train_dtype(context.precision, student, spec, task, context.device)
    student.train()
    term_modules.train()
    return LiveRun(
        student=student,
        terms=terms,
        term_modules=term_modules,
        optimizer=optimizer,
        schedule=spec.schedule.build(build_context),
        peak_rates=tuple(group["lr"] for group in optimizer.param_groups),
        scaler=torch.amp.GradScaler(context.device.type, enabled=dtype == torch.float16),
        augment=spec.augment.build(build_context),
        selection=selection,
        passes=passes,
        teacher_mode=_teacher_mode(context, spec),
        dtype=dtype,
        max_norm=MAX_NORM if _may_explode(spec) else None,
    )


def _may_explode(spec: PipelineSpec) -> bool:
    return any(loss.declares.teacher != "none" or loss.declares.student_reads for loss in spec.losses.values())


def stored_parts(spec: PipelineSpec) -> frozenset[str]:
    """Return the parts of the teacher's output, beside the logits, that a pipeline's losses read."""
    reading = [loss.declares for loss in spec.losses.values() if loss.declares.teacher != "none"]
    return frozenset(part for declared in reading for part in declared.reads)


def _selection(context: TrainContext, spec: PipelineSpec, build_context: BuildContext) -> Selection:
    """What a pipeline draws of the training set; all of it where it does not say."""
    if spec.selection is None:
        return Selection(build_context.task.train_size)
    return spec.selection.build(context.prepared(spec.selection, build_context))


def _term(context: TrainContext, loss: LossComponent, build_context: BuildContext) -> WeightedTerm:
    term = loss.build(context.prepared(loss, build_context))
    weight, reads_labels = loss.weight * loss.declares.scale.value, loss.declares.reads_labels
    return WeightedTerm(term.to(context.device) if isinstance(term, nn.Module) else term, weight, reads_labels)


def _teacher_mode(context: TrainContext, spec: PipelineSpec) -> str:
    """How the teacher is read: "stored" from the bank where all that the losses need can be kept there, else "live"."""
    modes = {loss.declares.teacher for loss in spec.losses.values()}
    if "live" not in modes:
        return "stored" if "stored" in modes else "none"
    assert context.teacher is not None, "a loss reads the teacher, but there is none"
    storable = stored_parts(spec) <= STORABLE
    held = storable and context.bank.holds_features(context.teacher.offers, len(context.data.train))
    return "stored" if held else "live"
