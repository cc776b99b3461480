"""What all rungs of a study share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from autokd import batching
from autokd.components import LossComponent, PreparedLoss
from autokd.data import Dataset
from autokd.engine.evaluate import Answered, answers_on
from autokd.engine.profile import OFF, Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import DeviceData, to_device
from autokd.spec import bare, component_to_plain, fingerprint
from autokd.types import Teacher

SHORT_SHARE = 1 / 3
"""Of the training samples: a validation split that is larger is not looked at as a whole before a run's end."""


def _nothing() -> None:
    """Nobody waits."""


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
    _artefacts: dict[str, Any] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def train_data(self) -> DeviceData:
        """The training split, on the device where it fits."""
        return to_device(self.data.train, self.data.task, self.device)

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

    def artefact(self, loss: LossComponent) -> Any:
        """Return what a loss's `prepare` makes of the teacher and the training set, made once; None where it has none.

        Losses that agree in the fields that `prepared_from` names share it.
        """
        fields = loss.declares.prepared_from
        if fields is None:
            return None
        plain = component_to_plain(loss)
        key = fingerprint({name: plain[name] for name in ("use", *fields)})
        if key not in self._artefacts:
            prepare = cast(PreparedLoss, bare(loss)).prepare
            self._artefacts[key] = prepare(self.clean_answers.outputs, self.clean_answers.labels)
        return self._artefacts[key]
