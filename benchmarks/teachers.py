"""Ways in which a teacher of known accuracy is handed over, and what autokd finds.

    python -m benchmarks.teachers --data-dir DIR [--images 4000] [--rows 3000] [--epochs 4] [--only WORD …]

Small convolutional networks are trained on Fashion-MNIST (`DIR/FashionMNIST/raw`), each on another input: with
ImageNet's numbers, on 0 to 255, and with 0.5 and 0.5 at 48 pixels; one of timm and one of torchvision beside them.
Models of scikit-learn, LightGBM, XGBoost and CatBoost are fitted on the training rows of two tables
(`benchmarks.teachers_of_tables`). The truth is the accuracy of a model on the validation samples when it is fed as it
was trained and its outputs are named by hand, without autokd. Each way of handing one over goes the way of `autokd
search`: loaded, tried on training samples, and asked about the same validation samples. Nothing is said of the teacher
beyond what stands in the row. What is off by more than a point is bold.

A way is one entry of `WAYS`: what is written or wrapped, what is said, and the model whose accuracy is the truth.
Takes some four minutes on two cores, most of it training.
"""

from __future__ import annotations

import argparse
import importlib
import re
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd import compat
from autokd.batching import single
from autokd.data import Dataset, load
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.errors import AutokdError
from autokd.options import DataOptions
from autokd.search.given_teacher import obtain_given
from autokd.search.request import Request
from benchmarks import teachers_of_tables

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


def make_timm() -> nn.Module:
    """Return a network of timm for grey pictures, not trained."""
    compat.torchvision()
    network: nn.Module = importlib.import_module("timm").create_model(TIMM, num_classes=CLASSES, in_chans=1)
    return network


def make_torchvision() -> nn.Module:
    """Return a network of torchvision for grey pictures, not trained."""
    network: Any = compat.torchvision().models.get_model(TORCHVISION, num_classes=CLASSES)
    network.conv1[0] = nn.Conv2d(1, 24, 3, 2, 1, bias=False)
    return network  # type: ignore[no-any-return]


TIMM, TORCHVISION = "test_resnet", "shufflenet_v2_x0_5"
INPUTS = {
    "imagenet": Input(0.449, 0.226, 28),
    "raw": Input(0.0, 1 / 255, 28),
    "half": Input(0.5, 0.5, 48),
    "timm": Input(0.5, 0.5, 64),
    "torchvision": Input(0.449, 0.226, 64),
}
NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"timm": make_timm, "torchvision": make_torchvision}
"""Those that are no `make()`."""


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
    networks: dict[str, nn.Module]
    folder: Path

    def saved(self, content: Any, name: str) -> str:
        torch.save(content, self.folder / f"{name}.pt")
        return f"benchmarks.teachers:make@{self.folder / f'{name}.pt'}"

    def state(self, name: str) -> dict[str, Tensor]:
        return dict(self.networks[name].state_dict())


AnyBench = TypeVar("AnyBench")


class Way(NamedTuple, Generic[AnyBench]):
    """A way to hand a teacher over.

    Args:
      what: it is, in words.
      truth: name of the network.
      hand_over: (bench) -> the options of the request.
    """

    what: str
    truth: str
    hand_over: Callable[[AnyBench], dict[str, Any]]


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


def _library(name: str, model: str) -> Callable[[Bench], dict[str, Any]]:
    def hand_over(bench: Bench) -> dict[str, Any]:
        file = bench.folder / f"{name}.pt"
        torch.save({"state_dict": bench.state(name)}, file)
        return {"teacher": f"{name}:{model}@{file}"}

    return hand_over


def _onnx(bench: Bench) -> dict[str, Any]:
    file, example = bench.folder / "raw.onnx", torch.zeros(1, 1, 28, 28)
    names: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(bench.networks["raw"], (example,), str(file), dynamo=False, **names)
    return {"teacher": f"onnx:{file}"}


def _together(bench: Bench) -> dict[str, Any]:
    stored = f"predictions:{_stored(bench)['teacher_predictions']}"
    return {"teacher": [bench.networks["imagenet"], Outputs(bench.networks["half"], SHUFFLED), stored]}


WAYS: tuple[Way[Bench], ...] = (
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
    Way("timm, at 64 px, outputs in the data's order", "timm", _library("timm", TIMM)),
    Way("torchvision, grey, ImageNet's numbers at 64 px", "torchvision", _library("torchvision", TORCHVISION)),
    Way("ONNX, 0 to 255", "raw", _onnx),
    Way("three together: ImageNet's, shuffled at 48 px, stored", "together", _together),
)


def train(data: Dataset, name: str, epochs: int) -> nn.Module:
    """Train a network on the training images, fed in its way."""
    fed = INPUTS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS.get(name, make)()
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
def truths(networks: Mapping[str, nn.Module], data: Dataset) -> dict[str, float]:
    """Return the shares of validation images that the networks have right, without autokd, and their mean has."""
    pixels, labels = single(data.validation.inputs), data.validation.labels
    said = {
        name: torch.cat([network(INPUTS[name].of(x)) for x in pixels.split(64)]) for name, network in networks.items()
    }
    said["together"] = torch.stack([said[name].softmax(1) for name in ("imagenet", "half", "half")]).mean(0)
    return {name: float((each.argmax(1) == labels).double().mean()) for name, each in said.items()}


def found(handed: Mapping[str, Any], data: Dataset) -> tuple[float, str, float]:
    """Return the accuracy of the teacher that autokd makes of what is handed over, what it took, and the seconds."""
    began = time.perf_counter()
    obtained = obtain_given(Request(**handed), data, CPU, None, lambda at: None)
    assert obtained is not None
    seconds = time.perf_counter() - began
    answers = predict_teacher(obtained.teacher, to_device(data.validation, data.task, CPU))
    share = float((answers.argmax(1) == data.validation.labels).double().mean())
    taken = [re.sub(r" \([^)]*\)", "", remark).partition(": ") for remark in obtained.remarks]
    of_each = isinstance(handed.get("teacher"), list)  # an ensemble's remarks begin with the member's name
    return share, "; ".join((rest if of_each else first).partition(": ")[0] for first, _, rest in taken), seconds


def wanted(ways: Sequence[Way[AnyBench]], words: Sequence[str]) -> list[Way[AnyBench]]:
    """Return the ways whose description has one of some words."""
    return [way for way in ways if any(word in way.what for word in words)]


def show(ways: Sequence[Way[AnyBench]], bench: AnyBench, data: Dataset, known: Mapping[str, float]) -> None:
    """Print a row for each way."""
    for way in ways:
        truth = 100 * known[way.truth]
        try:
            share, taken, seconds = found(way.hand_over(bench), data)
        except AutokdError as error:
            print(f"| {way.what} | {truth:.1f} | **refused** | | {error} |", flush=True)
            continue
        shown = f"{100 * share:.1f}" if abs(100 * share - truth) <= 1 else f"**{100 * share:.1f}**"
        print(f"| {way.what} | {truth:.1f} | {shown} | {seconds:.1f} | {taken} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=3000, help="of each table")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--only", nargs="+", default=[""], help="ways whose description has one of these words")
    asked = parser.parse_args()
    print("| a teacher handed over as | truth % | found % | seconds | taken |\n|---|---:|---:|---:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if wanted(WAYS, asked.only):
            show_pictures(Path(folder), asked)
        for make_bench, handed in teachers_of_tables.TABLES:
            ways = wanted([Way(*each) for each in handed], asked.only)
            if ways:
                table = make_bench(Path(asked.data_dir), Path(folder), asked.rows)
                show(ways, table, table.data, table.truths)


def show_pictures(folder: Path, asked: argparse.Namespace) -> None:
    """Print the rows of the networks on pictures."""
    drawn = load("fashion_mnist", DataOptions(data_dir=asked.data_dir, limit_train=asked.images))
    images, labels = single(drawn.train.inputs), drawn.train.labels
    data = load((images.numpy(), [drawn.task.classes[k] for k in labels.tolist()]))
    official = [data.task.classes.index(name) for name in drawn.task.classes]
    networks = {name: train(data, name, asked.epochs) for name in INPUTS}
    bench = Bench(data, images, official, networks, folder)
    show(wanted(WAYS, asked.only), bench, data, truths(networks, data))


if __name__ == "__main__":
    main()
