"""The teacher that autokd trains for a search: the default one, or a pretrained network that is fine-tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from autokd import catalog
from autokd.data import Dataset
from autokd.errors import TeacherError
from autokd.networks import state_file
from autokd.networks.bare import FromFile, begin
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher, seeded
from autokd.networks.reference import describe, to_component
from autokd.search.given_teacher import Named, Obtained, named
from autokd.search.request import Notify, Progress, Request, of_teacher
from autokd.space import Space
from autokd.teaching import default_teacher, fine_tuned
from autokd.teaching.recipe import Effort
from autokd.types import Shapes, Task

_APPLIES = (
    "--fine-tune is about one pretrained network whose weights are in a file: timm:NAME@WEIGHTS, "
    "torchvision:NAME@WEIGHTS, ARCH@FILE or package.module:factory@FILE"
)


class OwnTeacher(NamedTuple):
    """A teacher that autokd trains.

    Args:
      base: plain reference of the network that is fine-tuned; None: the default teacher.
      begun: that network with its new head, not trained yet, on the device; None: the default teacher.
    """

    base: Mapping[str, Any] | None = None
    begun: NetworkTeacher | None = None

    def budgeted(self, space: Space, samples: int) -> Space:
        """Return a space whose full length of a teacher's training is that of this one, on so many samples."""
        if self.base is None:
            return space
        epochs = fine_tuned.full_epochs(space.budget.teacher_epochs, samples)
        return dataclasses.replace(space, budget=dataclasses.replace(space.budget, teacher_epochs=epochs))

    def reference(self, effort: Effort) -> dict[str, Any]:
        """Return the plain reference by which a study and a pipeline file name it."""
        return default_teacher.reference(effort) if self.base is None else fine_tuned.reference(self.base, effort)

    def offers(self, task: Task, effort: Effort) -> Shapes:
        """Return what it will offer; nothing is trained."""
        return default_teacher.offers(task, effort) if self.begun is None else self.begun.offers

    def obtain(self, data: Dataset, effort: Effort, device: torch.device, notify: Notify) -> Obtained:
        """Return it: from the cache, or trained now.

        Raises:
          UserError: nothing can be kept in the cache.
        """
        reference = self.reference(effort)
        if self.base is None:
            return Obtained(default_teacher.obtain(data, effort, device, *of_teacher(notify)), reference)
        told = fine_tuned.Told(*of_teacher(notify, "fine-tuning the teacher"))
        teacher, line = fine_tuned.obtain(reference, data, device, told)
        notify(Progress(stage="given", done=1, total=1, note=line))
        return Obtained(teacher, reference, line)


def own_teacher(request: Request, data: Dataset, device: torch.device) -> OwnTeacher:
    """Return the teacher that autokd trains where it is to train one: where none is given, or a given one first.

    Raises:
      TeacherError: a given one is to be fine-tuned and cannot be.
    """
    if not request.fine_tune:
        return OwnTeacher()
    asked = named(request)
    if not asked:
        raise TeacherError(f"{_APPLIES}; give it with --teacher, or leave --fine-tune out: then autokd trains its own")
    if len(asked) > 1:
        raise TeacherError(f"{_APPLIES}; {len(asked)} are given")
    component = _component(asked[0])
    size = component.input_size or _own_size(component, data.task)
    fields = {**asked[0].fields, **({"input_size": size} if size else {})}
    reference = describe(asked[0].reference, fields)
    sized: Any = to_component(reference)
    return OwnTeacher(reference, begin(sized, data.task).frozen(data.task).to(device))


def _component(asked: Named) -> Any:
    """The component that loads the network.

    Raises:
      TeacherError: it is no network from a file, or its outputs are named.
    """
    if asked.in_python:
        raise TeacherError(f"{_APPLIES}; what was handed over in Python has no file: save its state_dict() to one")
    component: Any = to_component(asked.reference, asked.fields)
    if not isinstance(component, FromFile):
        raise TeacherError(f"{_APPLIES}; a {catalog.name_of(component)} teacher has no head that could be replaced")
    if component.classes:
        raise TeacherError("--fine-tune gives the network a head for the data's classes; leave --teacher-classes out")
    return component


def _own_size(component: Any, task: Task) -> int:
    """The side that the network's configuration names, where it is another one than the data's; else 0."""
    with seeded(0):
        own = component.bare(task, state_file.read(component.file, component.key)).form.own_size
    return own if own != kind_of(task.modality).side(task) else 0
