"""Baselines: a pipeline with its losses replaced by those of an arm, and with the student's own classifier.

A baseline without a teacher has the slot's `untaught` component in place of one that reads the teacher: all samples in
place of a selection that compares with it. That is what a person without a teacher would train on; a share drawn at
random would be a weaker one to beat.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from autokd.spec import PipelineSpec, Slot, bare, component_from_plain, component_to_plain, make, replaced, slots
from autokd.study.arms import ArmKind, baseline_kinds


def baseline_parts(kind: ArmKind) -> dict[str, Any]:
    """Return what a baseline has in place of a plain pipeline's own parts: its losses, and the default components."""
    return {**_default_parts(), "losses": baseline_losses(kind)}


def baseline_losses(kind: ArmKind) -> dict[str, Any]:
    """Return the plain losses of a baseline, every value written out.

    Raises:
      ValueError: the kind of arm is no such baseline.
    """
    if kind.losses is None:
        raise ValueError(f"{kind.name} has a pipeline of its own")
    return {name: _written_out(loss) for name, loss in kind.losses.items()}


def matched_baseline(pick: PipelineSpec, kind: ArmKind) -> PipelineSpec:
    """Return the pick as a baseline: student, augmentation, optimizer, schedule and batch size stay.

    So does a loss of the pick that stands in the place of one of the baseline's, with that one's weight.
    """
    losses = {name: component_from_plain("losses", loss) for name, loss in baseline_losses(kind).items()}
    for name, loss in pick.losses.items():
        for replaced_name in sorted(bare(loss).declares.replaces & losses.keys()):
            own = dataclasses.replace(bare(loss), weight=losses[replaced_name].weight)
            losses = dict((name, own) if key == replaced_name else (key, each) for key, each in losses.items())
    baseline = replaced(pick, "losses", losses)
    for slot, component in _default_components().items():
        baseline = replaced(baseline, slot, component)
    return baseline if kind.reads_teacher else _untaught(baseline)


def _untaught(spec: PipelineSpec) -> PipelineSpec:
    """A pipeline without the components that read the teacher, where their slot has another for this case."""
    for name, slot in slots().items():
        component = getattr(spec, name)
        if isinstance(slot, Slot) and slot.untaught and component is not None and component.declares.teacher != "none":
            spec = replaced(spec, name, make(slot.kind, slot.untaught, {}))
    return spec


def distilling_losses() -> dict[str, Any]:
    """Return the plain losses that baselines with a teacher have and those without one do not."""
    alone = {name for kind in baseline_kinds(has_teacher=False) for name in kind.losses or {}}
    kinds = [kind for kind in baseline_kinds(has_teacher=True) if kind.reads_teacher]
    return {name: loss for kind in kinds for name, loss in baseline_losses(kind).items() if name not in alone}


def _default_parts() -> dict[str, Any]:
    """The default component of every slot that has one, plain."""
    return {name: component_to_plain(component) for name, component in _default_components().items()}


def _default_components() -> dict[str, Any]:
    own = {name: slot for name, slot in slots().items() if isinstance(slot, Slot) and slot.default}
    return {name: make(slot.kind, slot.default, {}) for name, slot in own.items()}


def _written_out(loss: Any) -> dict[str, Any]:
    return component_to_plain(make("losses", loss["use"], {key: value for key, value in loss.items() if key != "use"}))
