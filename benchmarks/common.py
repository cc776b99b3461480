"""What the benchmarks share: torchdistill's models as autokd components, and its distillation box on given data."""

from __future__ import annotations

import importlib
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autokd import compat
from autokd.batching import single
from autokd.data import Dataset
from autokd.declarations import Schedule, Student
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.modalities.images import ImagePreprocess
from autokd.networks.models import NetworkTeacher
from autokd.spec import PipelineSpec, make, to_plain
from autokd.types import IMAGE, BuildContext, Output, Split, Task

TEMPERATURE = 4.0
CE_WEIGHT = 0.1


def torchdistill(module: str) -> Any:
    """Import a module of torchdistill, which needs torchvision to be importable first."""
    compat.torchvision()
    logging.getLogger().setLevel(logging.ERROR)
    return importlib.import_module(f"torchdistill.{module}")


class _Answering(nn.Module):
    """A network that returns bare logits, as one that returns an `Output`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Output:
        return Output(self.network(x))


class NoTeacher(nn.Module):
    """Answers with zeros, at no cost."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), self.num_classes)


@dataclass(frozen=True, kw_only=True)
class TorchdistillResNet:
    """torchdistill's CIFAR ResNet as a student, so that both sides train the very same network."""

    declares = Student(name="torchdistill_resnet", modalities=IMAGE)

    depth: int = 8

    def build(self, context: BuildContext) -> nn.Module:
        return _Answering(resnet(self.depth, context.task.num_classes))


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A learning rate that does not change."""

    declares = Schedule(name="constant")

    def build(self, context: BuildContext) -> Callable[[float], float]:
        return lambda u: 1.0


def resnet(depth: int, num_classes: int) -> nn.Module:
    """Return torchdistill's CIFAR ResNet."""
    registry = torchdistill("models.registry")
    network: nn.Module = registry.get_model(
        "resnet", None, depth=depth, num_classes=num_classes, pretrained=False, progress=False
    )
    return network


def spec(
    *, batch_size: int = 128, learning_rate: float = 0.1, weight_decay: float = 5e-4, depth: int = 8
) -> PipelineSpec:
    """Return the classic recipe: crop and flip, vanilla KD at temperature 4 with 0.1 of cross-entropy, SGD."""
    optimizer = {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "momentum": 0.9,
        "nesterov": False,
    }
    return PipelineSpec(
        student=TorchdistillResNet(depth=depth),
        augment=make("augments", "crop_flip", {"padding": 0.125, "flip": True}),
        losses={
            "ce": make("losses", "ce", {"weight": CE_WEIGHT}),
            "kd": make("losses", "kd", {"weight": 1 - CE_WEIGHT, "temperature": TEMPERATURE}),
        },
        optimizer=make("optimizers", "sgd", optimizer),
        schedule=Constant(),
        batch_size=batch_size,
    )


def in_memory(images: Tensor, labels: Tensor, num_classes: int, validation: Split | None = None) -> Dataset:
    """Return images in memory, uint8 [N, channels, height, width], as a dataset without a test split of its own."""
    classes, channels = tuple(str(i) for i in range(num_classes)), images.shape[1]
    preprocess = ImagePreprocess(
        classes=classes,
        channels=channels,
        size=(images.shape[2], images.shape[3]),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
    )
    task = Task(
        dataset="in memory",
        modality="image",
        input_shape=preprocess.input_shape,
        classes=classes,
        train_size=len(labels),
        mean=preprocess.mean,
        std=preprocess.std,
        fingerprint="in memory",
    )
    validation = validation or Split(images[:8], labels[:8])
    return Dataset(
        task=task,
        train=Split(images, labels),
        validation=validation,
        preprocess=preprocess,
        reference={},
        default_space="image",
        card={"samples": {"train": len(labels), "validation": len(validation), "test": len(validation)}},
        _test=validation,
    )


def random_images(count: int, num_classes: int = 100, side: int = 32) -> Dataset:
    """Random colour images: speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return in_memory(images, torch.randint(0, num_classes, (count,), generator=generator), num_classes)


def context(
    data: Dataset, teacher: nn.Module, *, precision: str, bank: TeacherBank, device: str = "cpu"
) -> TrainContext:
    """Return the engine's context around a frozen copy of a network as the teacher."""
    frozen = NetworkTeacher([_Answering(teacher)], data.task, origin="benchmark")
    place = torch.device(device)
    return TrainContext(data=data, teacher=frozen.to(place), device=place, bank=bank, precision=precision)


class PilImages(torch.utils.data.Dataset[Any]):
    """The same images as torchdistill's users feed them: PIL, transformed one by one."""

    def __init__(self, split: Split, transform: Any) -> None:
        from PIL import Image

        arrays = single(split.inputs).permute(0, 2, 3, 1).numpy()
        self.images = [Image.fromarray(array.squeeze()) for array in arrays]
        self.labels = split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.images[i]), self.labels[i]


def box(teacher: nn.Module, student: nn.Module, data: Dataset, recipe: PipelineSpec, device: str = "cpu") -> Any:
    """Return torchdistill's distillation box for the same recipe on the same data."""
    plain = to_plain(recipe)
    transforms = compat.torchvision().transforms
    side, task = data.task.input_shape[1], data.task
    transform = transforms.Compose(
        [
            transforms.RandomCrop(side, padding=round(side * plain["augment"]["padding"])),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(task.mean, task.std),
        ]
    )
    sampler = {"class_or_func": torch.utils.data.RandomSampler, "kwargs": {}}
    loader = {
        "dataset_id": "train",
        "sampler": sampler,
        "kwargs": {"batch_size": recipe.batch_size, "num_workers": 0, "drop_last": True},
    }
    path = {"student_module_path": ".", "student_module_io": "output"}
    path |= {"teacher_module_path": ".", "teacher_module_io": "output"}
    kd = plain["losses"].get("kd", {"weight": 0.0, "temperature": TEMPERATURE})
    weights = {"alpha": plain["losses"]["ce"]["weight"], "beta": kd["weight"]}
    loss = {"temperature": kd["temperature"], "reduction": "batchmean", **weights, **path}
    optimizer = plain["optimizer"]
    config = {
        "log_freq": 10**9,
        "num_epochs": 10**6,
        "train_data_loader": loader,
        "val_data_loader": loader,
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": True},
        "optimizer": {
            "key": "SGD",
            "kwargs": {
                "lr": optimizer["learning_rate"],
                "momentum": optimizer["momentum"],
                "weight_decay": optimizer["weight_decay"],
            },
        },
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}}},
        },
    }
    make_box = torchdistill("core.distillation").get_distillation_box
    datasets = {"train": PilImages(data.train, transform)}
    distillation = make_box(teacher, student, datasets, config, torch.device(device), None, False, 1)
    distillation.pre_epoch_process(epoch=0)
    return distillation


def machine() -> str:
    """Describe the machine and the versions, in one line."""
    model = (
        next(
            (
                line.partition(":")[2].strip()
                for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
                if line.startswith("model name")
            ),
            platform.processor(),
        )
        if Path("/proc/cpuinfo").exists()
        else platform.processor()
    )
    return (
        f"{model}, {torch.get_num_threads()} thread(s), torch {torch.__version__}, Python {platform.python_version()}"
    )
