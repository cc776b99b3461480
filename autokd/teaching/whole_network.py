"""Trainings of a whole pretrained network, from where it is: at some rates and augmentations, and at full length."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autokd.data import Dataset, load_again
from autokd.declarations import Student
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import TrialFailure
from autokd.networks.bare import Bare
from autokd.networks.inputs import kind_of
from autokd.seeds import derive
from autokd.spec import PipelineSpec, fingerprint, from_plain
from autokd.teaching.best_epoch import Trained, train_best
from autokd.teaching.recipe import LARGE, SHORT
from autokd.types import BuildContext, Task

log = logging.getLogger("autokd")

SEED = 0
"""Fixed, so that studies with different seeds share the teacher."""
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
"""Peak rates of AdamW that are tried in short runs; from scratch 2e-3 is usual."""
MIDDLE = 1
"""Of the rates, the one at which augmentations are compared, and that is taken where nothing is tried."""
DECAY, BATCH = 0.05, 32
POLICIES = 2
"""Augmentations that are compared, of those of a default teacher: with flips and without."""
TRIED_FROM = SHORT
"""Epochs of the full length from which on rates are tried."""


@dataclass(frozen=True, eq=False)
class _Beginning:
    """A network as a student that begins with the weights that it has."""

    network: nn.Module
    declares: Student

    def build(self, context: BuildContext) -> nn.Module:
        return copy.deepcopy(self.network).requires_grad_(True)


class Runs:
    """Trainings of the whole network from where it is, with what it is fed.

    Args:
      bare: the network.
      data: the dataset; its test split is not read.
      device: where to train.
      tell: called after each epoch.
      folder: where trainings are kept, so that they go on where they were killed.
    """

    def __init__(self, bare: Bare, data: Dataset, device: torch.device, tell: Callable[[], None], folder: Path) -> None:
        kind, size, students = kind_of(data.task.modality), bare.form.size, data.task
        data = load_again({**data.reference, "image_size": size}) if sees_more(data, size) else data
        self._network = kind.behind_resize(bare.network, size) if size else bare.network
        self._pipeline = kind.teacher_recipe(data.task, LARGE).pipelines[0]
        self._tell, self._inner, self._folder = tell, bare.network, folder
        declares = Student(name="to_fine_tune", modalities=frozenset({data.task.modality}))
        self._beginning = _Beginning(self._network, declares)
        mean, std = tuple(bare.form.mean) or students.mean, tuple(bare.form.std) or students.std
        data = dataclasses.replace(data, task=dataclasses.replace(data.task, mean=mean, std=std))
        self._context = TrainContext(data=data, teacher=None, device=device, bank=TeacherBank())
        self.policies = policies_of(data.task)

    def choose(self, length: int) -> tuple[float, Mapping[str, Any]]:
        """Return rate and augmentation, which is chosen first, that are best in short runs; the first of equals.

        Args:
          length: of these runs in epochs; 0: there are none.
        """
        if not length:
            return RATES[MIDDLE], self.policies[0]
        found = [self._score(RATES[MIDDLE], policy, length) for policy in self.policies]
        augment = self.policies[found.index(max(found))]
        scores = [max(found) if rate == RATES[MIDDLE] else self._score(rate, augment, length) for rate in RATES]
        return RATES[scores.index(max(scores))], augment

    def _score(self, rate: float, augment: Mapping[str, Any], epochs: int) -> float:
        trained = self.train(rate, augment, epochs)
        return -1.0 if trained is None else trained.score

    def train(self, rate: float, augment: Mapping[str, Any], epochs: int) -> Trained | None:
        """Return the network at its best epoch; None where training diverges."""
        kept = self._folder / f"{fingerprint([rate, dict(augment), epochs])}.pt"
        spec, seed = self._spec(rate, augment), derive(SEED, "fine_tune")
        try:
            return train_best(self._context, spec, seed, epochs, self._tell, kept)
        except TrialFailure as failure:
            log.info("fine-tuning at a learning rate of %g failed: %s", rate, failure)
            return None

    def _spec(self, rate: float, augment: Mapping[str, Any]) -> PipelineSpec:
        optimizer = {"use": "adamw", "learning_rate": rate, "weight_decay": DECAY}
        changed = {"augment": augment, "optimizer": optimizer, "schedule": {"use": "cosine"}, "batch_size": BATCH}
        return dataclasses.replace(from_plain({**self._pipeline, **changed}), student=self._beginning)

    def state_of(self, trained: Trained) -> Mapping[str, Tensor]:
        """Return the state of the network itself."""
        self._network.load_state_dict(trained.state)
        return {name: tensor.cpu().contiguous() for name, tensor in self._inner.state_dict().items()}


def short_of(epochs: int) -> int:
    """Return the epochs of a short run, given the full length; 0: there are none."""
    return epochs // SHORT if epochs >= TRIED_FROM else 0


def policies_of(task: Task) -> tuple[Mapping[str, Any], ...]:
    """Return the augmentations that are compared."""
    policies = [pipeline["augment"] for pipeline in kind_of(task.modality).teacher_recipe(task, LARGE).pipelines]
    return tuple(policies[:POLICIES])


def sees_more(data: Dataset, side: int) -> bool:
    """Return whether a network of this side in pixels, 0 for the data's, sees more of the samples than students do."""
    kind = kind_of(data.task.modality)
    return side > kind.side(data.task) and kind.own_side(data.samples) > kind.side(data.task)
