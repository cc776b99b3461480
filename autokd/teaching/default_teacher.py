"""The teacher that autokd trains itself when none is given.

Images: a wider residual network, its augmentation chosen among three on validation in short runs. Tables: an ensemble
of MLPs. Both by the one training loop with cross-entropy, on train minus validation; kept in the user's cache by
content and shared by all studies.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import ComponentError, TeacherError
from autokd.files import cache_dir, write_tensors, write_text
from autokd.networks.models import NetworkTeacher, head_of, seeded, shapes_of, state_fingerprint
from autokd.networks.reference import load_teacher
from autokd.seeds import derive
from autokd.spec import component_from_plain, fingerprint, from_plain, to_plain
from autokd.types import Shapes, Task

log = logging.getLogger("autokd")

FORMAT = 1
SEED = 0
"""Fixed, so that studies with different seeds share the teacher."""
MEMBERS = 5
SHORT = 4
"""Augmentations are compared in runs of 1 / SHORT of the full length."""

TINY = 16
"""Side in pixels up to which the shortest network is deep enough."""

OnEpoch = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""


class Recipe(NamedTuple):
    """How a default teacher is trained.

    Args:
      pipelines: plain pipelines that differ in augmentation; the best on validation in short runs is trained in full.
      members: networks of the ensemble.
    """

    pipelines: tuple[Mapping[str, Any], ...]
    members: int


def recipe(task: Task) -> Recipe:
    """Return the recipe for a kind of data, every value written out."""
    short = {"image": _image_recipe, "table": _table_recipe}[task.modality](task)
    return short._replace(pipelines=tuple(to_plain(from_plain(pipeline)) for pipeline in short.pipelines))


def reference(epochs: int) -> dict[str, Any]:
    """Return the plain reference by which a pipeline file names a default teacher."""
    return {"use": "trained", "epochs": epochs}


def load_described(described: Mapping[str, Any], data: Dataset, device: torch.device) -> NetworkTeacher:
    """Return the teacher of a plain reference, the default one or any other, on a device.

    Args:
      described: what `reference` or `autokd.networks.reference.describe` returned.
      data: the dataset.
      device: where it is to answer, and where a default teacher that is no longer in the cache is trained.

    Raises:
      TeacherError: it cannot be loaded, or was a network handed over in Python.
    """
    if described.get("use") == "trained":
        return obtain(data, int(described["epochs"]), device)
    if described.get("use") == "module":
        raise TeacherError(
            "this pipeline's teacher was a network handed over in Python; save it to a file and edit `teacher`"
        )
    return load_teacher(dict(described), data.task).to(device)


def offers(task: Task) -> Shapes:
    """Return what the default teacher will offer; nothing is trained."""
    chosen = recipe(task)
    if chosen.members > 1:
        return Shapes()
    with seeded(0):
        network = build_student(component_from_plain("students", chosen.pipelines[0]["student"]), task)
    return shapes_of(network, task)._replace(head=head_of(network.eval(), task) is not None)


def obtain(data: Dataset, epochs: int, device: torch.device, on_epoch: OnEpoch | None = None) -> NetworkTeacher:
    """Return the default teacher of a dataset: from the cache, or trained now.

    Args:
      data: the dataset.
      epochs: full length of a member's training.
      device: where to train.
      on_epoch: progress; called only where it trains.
    """
    chosen = recipe(data.task)
    key = fingerprint([FORMAT, data.task.fingerprint, list(chosen.pipelines), chosen.members, epochs])
    folder = cache_dir("teachers") / key
    with filelock.FileLock(cache_dir("teachers") / f"{key}.lock"):
        teacher = _found(folder, data.task)
        if teacher is None:
            _train(data, chosen, epochs, device, folder, on_epoch or (lambda done, total: None))
            teacher = _load(folder, data.task)
        return teacher.to(device)


def compared(chosen: Recipe) -> int:
    """Return how many short trainings come before the full ones."""
    return len(chosen.pipelines) if len(chosen.pipelines) > 1 else 0


def _found(folder: Path, task: Task) -> NetworkTeacher | None:
    """Return the teacher kept in a folder; None where there is none, or it is damaged."""
    if not (folder / "teacher.json").is_file():
        return None
    try:
        return _load(folder, task)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, ComponentError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        log.warning("the teacher kept in %s is damaged (%s); training it again", folder, why)
        shutil.rmtree(folder)
        return None


def _train(data: Dataset, chosen: Recipe, epochs: int, device: torch.device, folder: Path, on_epoch: OnEpoch) -> None:
    context = TrainContext(data=data, teacher=None, device=device, bank=TeacherBank())
    short, several = max(1, epochs // SHORT), compared(chosen)
    total = short * several + epochs * chosen.members
    done = 0

    def step(_: Mapping[str, Any]) -> None:
        nonlocal done
        done += 1
        on_epoch(done, total)

    def train(pipeline: Mapping[str, Any], length: int, member: int) -> tuple[float, Mapping[str, Tensor]]:
        seed, size = derive(SEED, "teacher", member), len(data.train)
        spec, samples = from_plain(pipeline), length * size
        rung = Rung(seed=seed, view_seed=seed, horizon=samples, until=samples)
        result, checkpoint = train_rung(context, spec, rung, on_epoch=step)
        return result.score, checkpoint["student"]

    best = chosen.pipelines[0]
    if several:
        scores = [train(pipeline, short, 0)[0] for pipeline in chosen.pipelines]
        best = chosen.pipelines[scores.index(max(scores))]
    members = [train(best, epochs, member)[1] for member in range(chosen.members)]
    for number, state in enumerate(members):
        write_tensors(folder / f"member-{number}.safetensors", state)
    facts = {"format": FORMAT, "pipeline": best, "members": [state_fingerprint(state) for state in members]}
    write_text(folder / "teacher.json", json.dumps(facts))


def _load(folder: Path, task: Task) -> NetworkTeacher:
    facts = json.loads((folder / "teacher.json").read_text(encoding="utf-8"))
    student = facts["pipeline"]["student"]
    modules: list[nn.Module] = []
    for number, written in enumerate(facts["members"]):
        with seeded(0):
            network = build_student(component_from_plain("students", student), task)
        state = load_file(folder / f"member-{number}.safetensors")
        if state_fingerprint(state) != written:
            raise ValueError(f"member-{number}.safetensors holds other weights than those written")
        network.load_state_dict(state)
        modules.append(network)
    fields = ", ".join(f"{key}={value}" for key, value in student.items() if key != "use")
    many = f"ensemble of {len(modules)} " if len(modules) > 1 else ""
    origin = f"trained by autokd: {many}{student['use']}({fields}), augment {facts['pipeline']['augment']['use']}"
    return NetworkTeacher(modules, task, origin=origin)


def _image_recipe(task: Task) -> Recipe:
    common = {
        "format": 1,
        "student": {"use": "resnet", "depth": 8 if max(task.input_shape[1:]) <= TINY else 14, "width": 32},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    policies = (
        {"use": "crop_flip", "padding": 0.125, "flip": True},
        {"use": "crop_flip", "padding": 0.125, "flip": False},
        {"use": "none"},
    )
    return Recipe(tuple({**common, "augment": policy} for policy in policies), members=1)


def _table_recipe(task: Task) -> Recipe:
    pipeline = {
        "format": 1,
        "student": {"use": "mlp", "depth": 3, "width": 128, "dropout": 0.1},
        "augment": {"use": "none"},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    return Recipe((pipeline,), members=MEMBERS)
