"""What all rungs of a study share."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from autokd import batching
from autokd.data import Dataset
from autokd.engine.artefacts import FORMAT, Artefacts
from autokd.engine.evaluate import Answered, answers_on
from autokd.engine.profile import OFF, Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.unlabelled import uses_unlabelled
from autokd.engine.views import DeviceData, to_device
from autokd.errors import ComponentError
from autokd.networks.models import state_fingerprint
from autokd.spec import PipelineSpec, bare, component_to_plain, fingerprint
from autokd.types import BuildContext, Split, Teacher

SHORT_SHARE = 1 / 3
"""Of the training samples: a validation split that is larger is not looked at as a whole before a run's end."""


def _nothing() -> None:
    """Nobody waits."""


@functools.cache
def _code_of(module: str) -> str:
    """The hash of a module's file as this process first saw it: one that is edited meanwhile runs as it was."""
    source = sys.modules[module].__file__
    return "" if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class TrainContext:
    """Data, teacher, device, and what was already computed from them.

    Args:
      data: the dataset; its test split is never read here.
      teacher: the teacher, or None.
      device: where to train.
      bank: teacher outputs already computed.
      parts: of the teacher's outputs that the study's losses may read beside the logits: "pooled".
      precision: "auto", "float32" or "bfloat16".
      profile: measures where the time goes.
      alive: called at every batch: a sign of life for whoever waits.
      metric: name of the metric that a rung's score is; see `autokd.metrics`.
      views: of each sample that runs that read stored answers see under a policy, one after the other and then again:
        so many answers the teacher has to give; 0: every epoch has new ones.
      artefacts: what components have prepared.
      settles: a network that chooses how it answers does so on validation; not where that is trained on, too.
    """

    data: Dataset
    teacher: Teacher | None
    device: torch.device
    bank: TeacherBank
    parts: frozenset[str] = frozenset()
    precision: str = "auto"
    profile: Profile = OFF
    alive: Callable[[], None] = _nothing
    metric: str = "accuracy"
    views: int = 0
    artefacts: Artefacts = field(default_factory=Artefacts, repr=False)
    settles: bool = True

    @functools.cached_property
    def train_data(self) -> DeviceData:
        """The training split, on the device where it fits."""
        return to_device(self.data.train, self.data.task, self.device)

    @functools.cached_property
    def joined_split(self) -> Split:
        """The training split, and after it the samples without labels."""
        assert self.data.unlabelled is not None, "there are no samples without labels"
        return batching.join_splits([self.data.train, self.data.unlabelled])

    @functools.cached_property
    def joined_data(self) -> DeviceData:
        """The same, on the device where it fits."""
        return to_device(self.joined_split, self.data.task, self.device)

    def split_for(self, spec: PipelineSpec) -> Split:
        """Return the split whose rows a pipeline is trained on."""
        return self.data.train if self.data.unlabelled is None or not uses_unlabelled(spec) else self.joined_split

    def data_for(self, spec: PipelineSpec) -> DeviceData:
        """Return the same, on the device where it fits."""
        return self.train_data if self.data.unlabelled is None or not uses_unlabelled(spec) else self.joined_data

    @functools.cached_property
    def validation_data(self) -> DeviceData:
        """The validation split, on the device where it fits."""
        return to_device(self.data.validation, self.data.task, self.device)

    @functools.cached_property
    def short_validation_data(self) -> DeviceData:
        """The part of the validation split that runs are scored on before their end.

        It is all of it, or where it is larger than `SHORT_SHARE` of the training split, a fixed draw of that size.
        """
        split, most = self.data.validation, math.ceil(SHORT_SHARE * len(self.data.train))
        if len(split) <= most:
            return self.validation_data
        drawn = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].sort().values
        return to_device(batching.take_split(split, drawn), self.data.task, self.device)

    @functools.cached_property
    def clean_answers(self) -> Answered:
        """The teacher's outputs on the training set as it is, not augmented, and the labels."""
        assert self.teacher is not None, "there is no teacher to ask"
        return answers_on(self.teacher, self.train_data)

    def reads_teacher(self, component: Any) -> bool:
        """Whether a component, or what it prepares, reads the teacher."""
        return getattr(component.declares, "teacher", "none") != "none" or self.copies_teacher(component)

    def copies_teacher(self, component: Any) -> bool:
        """Whether a component is made of the teacher's network."""
        return bool(getattr(component.declares, "copies", ""))

    def artefact_key(self, component: Any) -> str:
        """Return 16 hex digits that identify what a component prepares from teacher and data.

        Components of one name that agree in the fields that `prepared_from` names share it.

        Raises:
          ComponentError: it reads the teacher, and there is none.
        """
        plain, task, known = component_to_plain(component), self.data.task, self.data.train.labelled
        if self.reads_teacher(component) and self.teacher is None:
            raise ComponentError(f"{component.declares.kind} {plain['use']!r} reads the teacher, and there is none")
        teacher = self.teacher.fingerprint if self.teacher is not None and self.reads_teacher(component) else None
        return fingerprint(
            {
                "component": [component.declares.kind, plain["use"]],
                "fields": {name: plain[name] for name in component.declares.prepared_from},
                "code": [FORMAT, _code_of(type(bare(component)).__module__)],
                "data": [task.fingerprint, task.train_size, known if known is None else state_fingerprint({"": known})],
                "teacher": teacher,
                "device": [self.device.type, self.precision],
            }
        )

    def prepared(self, component: Any, build_context: BuildContext) -> BuildContext:
        """Return what a component is built with: where it prepares something, with that.

        Raises:
          ComponentError: it was not prepared.
        """
        if component.declares.prepared_from is None:
            return build_context
        artefact = self.artefacts.find(self.artefact_key(component))
        if artefact is None:
            use = component_to_plain(component)["use"]
            raise ComponentError(
                f"{component.declares.kind} {use!r} needs what its `prepare` returns, and it was not prepared; call "
                "autokd.engine.prepare.prepare_artefacts(context, spec) before training"
            )
        return dataclasses.replace(build_context, artefact=artefact)
