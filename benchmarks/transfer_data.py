"""The data and the pretrained networks of `benchmarks.transfer`: 80 classes of CIFAR-100, and pictures of the other 20.

Every fifth class in alphabetical order is kept for the transfer. A network that was trained on the other 80 stands for
weights of ImageNet.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from autokd import compat
from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.files import write_tensors
from autokd.spec import from_plain
from autokd.types import Split
from benchmarks.common import in_memory

EVERY = 5
"""Each class with this step goes to the transfer, the others are pretrained on."""
PRETRAIN, HELD_OUT = 30_000, 1_000
"""Images that are pretrained on, and those that its progress is told of."""
EPOCHS = 6
"""Of pretraining."""


def cifar100(folder: Path, *, train: bool) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Return images [N, 32, 32, 3], class numbers [N] and the names of the classes."""
    found = compat.torchvision().datasets.CIFAR100(folder, train=train)
    return found.data, np.asarray(found.targets), tuple(found.classes)


def is_transferred(labels: NDArray[Any]) -> NDArray[Any]:
    """Return which samples are of the classes that are kept for the transfer."""
    return np.asarray(labels % EVERY == EVERY - 1)


def source(folder: Path) -> Dataset:
    """Return the 80 classes, with their own normalisation."""
    images, labels, _ = cifar100(folder, train=True)
    images, labels = images[~is_transferred(labels)], labels[~is_transferred(labels)]
    pixels = torch.from_numpy(images[: PRETRAIN + HELD_OUT]).permute(0, 3, 1, 2).contiguous()
    classes = {old: new for new, old in enumerate(sorted(set(labels.tolist())))}
    numbers = torch.tensor([classes[label] for label in labels[: PRETRAIN + HELD_OUT].tolist()])
    data = in_memory(pixels[:PRETRAIN], numbers[:PRETRAIN], len(classes), Split(pixels[PRETRAIN:], numbers[PRETRAIN:]))
    shares = pixels[:PRETRAIN].float().div(255)
    mean, std = (tuple(each.tolist()) for each in (shares.mean((0, 2, 3)), shares.std((0, 2, 3))))
    return dataclasses.replace(data, task=dataclasses.replace(data.task, mean=mean, std=std))


def pretrained(folder: Path, student: Mapping[str, Any], file: Path) -> Path:
    """Train a network on the 80 classes and keep its weights, where that has not been done."""
    if file.exists():
        return file
    data, began = source(folder), time.process_time()
    pipeline = {
        "format": 1,
        "student": dict(student),
        "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
        "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
        "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
        "schedule": {"use": "one_cycle"},
        "batch_size": 64,
    }
    context = TrainContext(data=data, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
    samples = EPOCHS * len(data.train)
    rung = Rung(seed=0, view_seed=0, horizon=samples, until=samples)
    result, trained = train_rung(context, from_plain(pipeline), rung, on_epoch=lambda line: print(line, flush=True))
    state: Mapping[str, Tensor] = trained["student"]
    facts = {"accuracy": result.score, "cpu_seconds": time.process_time() - began, "mean": data.task.mean}
    write_tensors(file, state)
    file.with_suffix(".json").write_text(json.dumps({**facts, "std": data.task.std}), encoding="utf-8")
    print(f"{file}: {100 * result.score:.1f} % of {HELD_OUT} held-out images of 80 classes", flush=True)
    return file


def write_pictures(folder: Path, images: int, seed: int, root: Path) -> Path:
    """Write so many training pictures of the 20 classes, drawn under a seed, and all their test pictures; once."""
    target = root / f"transfer-{images}-seed{seed}"
    if target.exists():
        return target
    unfinished = target.with_name(f"{target.name}.part")
    for part in ("train", "test"):
        pictures, labels, names = cifar100(folder, train=part == "train")
        generator = np.random.default_rng(seed)
        for label in np.unique(labels[is_transferred(labels)]):
            rows = np.flatnonzero(labels == label)
            each = images // (100 // EVERY)
            rows = generator.choice(rows, each, replace=False) if part == "train" else rows
            (unfinished / part / names[label]).mkdir(parents=True, exist_ok=True)
            for row in rows:
                Image.fromarray(pictures[row]).save(unfinished / part / names[label] / f"{row}.png")
    unfinished.rename(target)
    return target
