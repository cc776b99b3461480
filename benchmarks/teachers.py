"""Ways in which a teacher of known accuracy is handed over, and what autokd finds.

    python -m benchmarks.teachers --data-dir DIR [--images 4000] [--epochs 4] [--only WORD]

Three small convolutional networks are trained on Fashion-MNIST (`DIR/FashionMNIST/raw`), each on another input: with
ImageNet's numbers, on 0 to 255, and with 0.5 and 0.5 at 48 pixels. The truth is the accuracy of a network on the
validation images when it is fed as it was trained and its outputs are named by hand, without autokd. Each way of
handing one over goes the way of `autokd search`: loaded, tried on training images, and asked about the same validation
images. Nothing is said of the teacher beyond what stands in the row. What is off by more than a point is bold.

A way is one entry of `WAYS`: what is written or wrapped, what is said, and the network whose accuracy is the truth.
Takes some two minutes on two cores, most of it training.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.batching import single
from autokd.data import Dataset, load
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.errors import AutokdError
from autokd.options import DataOptions
from autokd.search.given_teacher import obtain_given
from autokd.search.request import Request

CPU = torch.device("cpu")
CLASSES = 10
SHUFFLED = (3, 1, 4, 9, 0, 2, 6, 5, 8, 7)
"""The class that each output of a network with shuffled outputs stands for."""


def make(num_classes: int = CLASSES) -> nn.Sequential:
    """The network; also the factory that references name."""
    layers: list[nn.Module] = []
    for channels, (width, stride) in zip((1, 16, 32), ((16, 2), (32, 2), (32, 1)), strict=True):
        layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes))


class Input(NamedTuple):
    """What a network is trained on."""

    mean: float
    std: float
    size: int

    def of(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() / 255 - self.mean) / self.std
        side = (self.size, self.size)
        return x if self.size == x.shape[-1] else F.interpolate(x, side, mode="bilinear", antialias=True)


INPUTS = {"imagenet": Input(0.449, 0.226, 28), "raw": Input(0.0, 1 / 255, 28), "half": Input(0.5, 0.5, 48)}


class Outputs(nn.Module):
    """A network whose outputs stand in another order."""

    def __init__(self, network: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.network, self.order = network, list(order)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network(x)[:, self.order]
        return answer


class Bench(NamedTuple):
    """What ways are made of.

    Args:
      data: the dataset, its classes sorted by text.
      images: all of it, in its order.
      official: for each of Fashion-MNIST's numbers the class of the data.
      networks: trained, by the name of their input.
      folder: to write files in.
    """

    data: Dataset
    images: Tensor
    official: Sequence[int]
    networks: dict[str, nn.Sequential]
    folder: Path

    def saved(self, content: Any, name: str) -> str:
        torch.save(content, self.folder / f"{name}.pt")
        return f"benchmarks.teachers:make@{self.folder / f'{name}.pt'}"

    def state(self, name: str) -> dict[str, Tensor]:
        return dict(self.networks[name].state_dict())


class Way(NamedTuple):
    """A way to hand a teacher over.

    Args:
      what: it is, in words.
      truth: name of the network.
      hand_over: (bench) -> the options of the request.
    """

    what: str
    truth: str
    hand_over: Callable[[Bench], dict[str, Any]]


def _reordered(state: dict[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
    """A state whose output k is what output order[k] was."""
    last = {key: value[list(order)] for key, value in state.items() if key.startswith("11.")}
    return {**state, **last}


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def _script(bench: Bench) -> dict[str, Any]:
    weights = {f"module.{key}": value for key, value in bench.state("imagenet").items()}
    content = {"epoch": 9, "arch": "x", "state_dict": weights, "args": Namespace(lr=0.1)}
    return {"teacher": bench.saved(content, "script")}


def _lightning(bench: Bench) -> dict[str, Any]:
    weights = {f"model.{key}": value for key, value in bench.state("imagenet").items()}
    content = {"state_dict": weights | {"criterion.weight": torch.ones(CLASSES)}, "hyper_parameters": {"lr": 0.1}}
    return {"teacher": bench.saved(content, "lightning")}


def _averaged(bench: Bench) -> dict[str, Any]:
    weights = {f"module.{key}": value for key, value in bench.state("raw").items()}
    return {"teacher": bench.saved(weights | {"n_averaged": torch.tensor(5)}, "averaged")}


def _named(bench: Bench) -> dict[str, Any]:
    names = [bench.data.task.classes[k] for k in SHUFFLED]
    content = {"state_dict": _reordered(bench.state("imagenet"), SHUFFLED), "classes": names}
    return {"teacher": bench.saved(content, "named")}


def _more_classes(bench: Bench) -> dict[str, Any]:
    names = ["hat", *(bench.data.task.classes[k] for k in SHUFFLED), "glove"]
    state = _reordered(bench.state("imagenet"), SHUFFLED)
    wide = {key: F.pad(value, (0, 0) * (value.ndim - 1) + (1, 1)) for key, value in state.items() if key[:3] == "11."}
    (bench.folder / "names.txt").write_text("\n".join(names))
    return {"teacher": bench.saved({**state, **wide}, "more"), "teacher_classes": bench.folder / "names.txt"}


@torch.no_grad()
def _stored(bench: Bench) -> dict[str, Any]:
    x = INPUTS["half"].of(bench.images)
    answers = torch.cat([bench.networks["half"](part) for part in x.split(500)])
    np.savez(bench.folder / "answers.npz", logits=answers.numpy())
    return {"teacher_predictions": bench.folder / "answers.npz"}


WAYS = (
    Way("a network in Python, ImageNet's numbers", "imagenet", lambda b: {"teacher": b.networks["imagenet"]}),
    Way("a network in Python, 0 to 255", "raw", lambda b: {"teacher": b.networks["raw"]}),
    Way("a network in Python, 0.5 and 0.5 at 48 px", "half", lambda b: {"teacher": b.networks["half"]}),
    Way("the same, its size said", "half", lambda b: {"teacher": b.networks["half"], "teacher_size": 48}),
    Way(
        "the same, mean and std said",
        "half",
        lambda b: {"teacher": b.networks["half"], "teacher_mean": 0.5, "teacher_std": 0.5},
    ),
    Way("weights in a file, a factory", "imagenet", lambda b: {"teacher": b.saved(b.state("imagenet"), "bare")}),
    Way(
        "half precision in the file",
        "imagenet",
        lambda b: {"teacher": b.saved(_halved(b.state("imagenet")), "half")},
    ),
    Way("the file of a training script: module., Namespace", "imagenet", _script),
    Way("the file of Lightning: model., a loss beside it", "imagenet", _lightning),
    Way("averaged weights with their counter, 0 to 255", "raw", _averaged),
    Way("nn.DataParallel", "raw", lambda b: {"teacher": nn.DataParallel(b.networks["raw"])}),
    Way(
        "outputs numbered as Fashion-MNIST does, classes sorted by text",
        "imagenet",
        lambda b: {"teacher": Outputs(b.networks["imagenet"], b.official)},
    ),
    Way("outputs shuffled, 0 to 255", "raw", lambda b: {"teacher": Outputs(b.networks["raw"], SHUFFLED)}),
    Way("outputs shuffled, 0.5 and 0.5 at 48 px", "half", lambda b: {"teacher": Outputs(b.networks["half"], SHUFFLED)}),
    Way("outputs shuffled, named in the file", "imagenet", _named),
    Way("two more classes, names by --teacher-classes", "imagenet", _more_classes),
    Way("stored predictions, an .npz", "half", _stored),
)


def train(data: Dataset, fed: Input, epochs: int) -> nn.Sequential:
    """Train a network on the training images, fed in a way."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
        pixels, labels = single(data.train.inputs), data.train.labels
        steps = -(-len(labels) // 64) * epochs
        optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
        for _ in range(epochs):
            for index in torch.randperm(len(labels)).split(64):
                loss = F.cross_entropy(network(fed.of(pixels[index])), labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, fed: Input, data: Dataset) -> float:
    """Return the share of validation images that a network has right, without autokd."""
    right = network(fed.of(single(data.validation.inputs))).argmax(1) == data.validation.labels
    return float(right.double().mean())


def found(way: Way, bench: Bench) -> tuple[float, str, float]:
    """Return the accuracy of the teacher that autokd makes of a way, what it took, and the seconds."""
    began = time.perf_counter()
    request = Request(**way.hand_over(bench))
    obtained = obtain_given(request, bench.data, CPU, None, lambda at: None)
    assert obtained is not None
    seconds = time.perf_counter() - began
    answers = predict_teacher(obtained.teacher, to_device(bench.data.validation, bench.data.task, CPU))
    share = float((answers.argmax(1) == bench.data.validation.labels).double().mean())
    return share, "; ".join(remark.partition(":")[0].partition(" (")[0] for remark in obtained.remarks), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--only", default="", help="ways whose description has this word")
    asked = parser.parse_args()
    drawn = load("fashion_mnist", DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    images, labels = single(drawn.train.inputs), drawn.train.labels
    data = load((images.numpy(), [drawn.task.classes[k] for k in labels.tolist()]))
    official = [data.task.classes.index(name) for name in drawn.task.classes]
    networks = {name: train(data, fed, asked.epochs) for name, fed in INPUTS.items()}
    truths = {name: accuracy(networks[name], fed, data) for name, fed in INPUTS.items()}
    print(f"{len(data.train):,} training and {len(data.validation):,} validation images\n", flush=True)
    print("| a teacher handed over as | truth % | found % | seconds | taken |\n|---|---:|---:|---:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(data, images, official, networks, Path(folder))
        for way in WAYS:
            if asked.only not in way.what:
                continue
            truth = 100 * truths[way.truth]
            try:
                share, taken, seconds = found(way, bench)
            except AutokdError as error:
                print(f"| {way.what} | {truth:.1f} | **refused** | | {error} |", flush=True)
                continue
            shown = f"{100 * share:.1f}" if abs(100 * share - truth) <= 1 else f"**{100 * share:.1f}**"
            print(f"| {way.what} | {truth:.1f} | {shown} | {seconds:.1f} | {taken} |", flush=True)


if __name__ == "__main__":
    main()
