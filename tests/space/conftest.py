"""Components that exist only in these tests, so that every rule of a space can be seen apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

from autokd import catalog
from autokd.space import Space, parse
from autokd.types import Task

PLUGIN = """
from __future__ import annotations
import math
from dataclasses import dataclass
from typing import Annotated
from torch import nn
from autokd.declarations import Head, Loss, Scale, Student
from autokd.ranges import Choice, Integer, Real

MADE_UP = Scale(1.0, "made up")


def linear(task):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(task.input_shape), task.num_classes))


@dataclass(frozen=True, kw_only=True)
class Net:
    declares = Student(name="t_net", modalities={"image"})

    width: Annotated[int, Integer(4, 16, step=4)] = 8  # channels
    depth: Annotated[int, Choice(8, 14, 20)] = 14  # layers

    def __post_init__(self) -> None:
        if self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2, got {self.depth}")

    def build(self, context):
        return linear(context.task)


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    declares = Student(name="t_mlp", modalities={"image", "table"})

    units: Annotated[int, Integer(2, 64, log=True)]  # no default: the middle of the range on its own scale
    sizes: tuple[int, ...] = (1, 2)  # never searched
    limit: float | None = None  # may be nothing

    def build(self, context):
        return linear(context.task)


@dataclass(frozen=True, kw_only=True)
class Base:
    declares = Loss(name="t_base", teacher="none", scale=MADE_UP, tunes=())

    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class A:
    declares = Loss(name="t_a", teacher="stored", scale=MADE_UP)

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # weight
    heat: Annotated[float, Real(1.0, 8.0)] = 4.0  # temperature

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class B:
    declares = Loss(name="t_b", teacher="stored", scale=MADE_UP, excludes={"t_a", "augment.mixup"})

    weight: float = 1.0

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class C:
    declares = Loss(name="t_c", teacher="stored", scale=MADE_UP, requires={"t_a"})

    weight: float = 1.0

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class D:
    declares = Loss(name="t_d", teacher="live", reads={"features"}, scale=MADE_UP, min_classes=3)

    weight: float = 1.0

    def build(self, context): ...
"""

PLUGIN += """

@dataclass(frozen=True, kw_only=True)
class OwnHead:
    declares = Head(
        name="t_head", teacher="live", reads={"head"}, requires={"losses.t_h"}, excludes={"losses.t_a"}
    )

    factor: Annotated[int, Choice(2, 4)] = 2  # of something

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class H:
    declares = Loss(name="t_h", teacher="live", scale=MADE_UP, requires={"head.t_head"})

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # weight

    def build(self, context): ...
"""

BASE = {
    "student": {"one_of": {"t_net": {}, "t_mlp": {}}},
    "augment": {"one_of": {"none": {}, "mixup": {"alpha": {"choice": [0.2, 1.0]}, "padding": 0.0, "flip": False}}},
    "losses": {"always": {"t_base": {}}, "any_of": {"at_most": 2, "from": {"t_a": {}, "t_d": {}}}},
    "optimizer": {"always": {"sgd": {"momentum": 0.9, "nesterov": True}}},
    "schedule": {"one_of": {"cosine": {"warmup": 0.1, "final": 0.001}}},
    "batch_size": {"choice": [32, 64]},
}

Make = Callable[..., Space]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The components are there for one file of tests, and gone before any other test lists what there is."""
    path = tmp_path_factory.mktemp("plugin") / "space_tests.py"
    path.write_text(PLUGIN)
    catalog.load_plugins(path)
    yield
    del sys.modules["autokd_plugin_space_tests"]


@pytest.fixture
def make(plugin: None) -> Make:
    """Parse a small space, some of its parts replaced; None leaves a part out."""

    def build(**parts: object) -> Space:
        tree = {key: value for key, value in {**BASE, **parts}.items() if value is not None}
        return parse(yaml.safe_dump(tree, sort_keys=False))

    return build


@pytest.fixture
def image_task() -> Task:
    return Task(
        dataset="pictures", modality="image", input_shape=(1, 8, 8), classes=tuple("0123456789"), train_size=100
    )


@pytest.fixture
def table_task() -> Task:
    return Task(dataset="rows", modality="table", input_shape=(5,), classes=("no", "yes"), train_size=100)
