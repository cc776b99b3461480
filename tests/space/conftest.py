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
from typing import Annotated, ClassVar
from torch import nn
from autokd.ranges import Choice, Integer, Real


def linear(task):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(task.input_shape), task.num_classes))


@dataclass(frozen=True, kw_only=True)
class Net:
    kind, name, modalities = "students", "t_net", frozenset({"image"})
    width: Annotated[int, Integer(4, 16, step=4)] = 8  # channels
    depth: Annotated[int, Choice(8, 14, 20)] = 14  # layers

    def __post_init__(self) -> None:
        if self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2, got {self.depth}")

    def build(self, context):
        return linear(context.task)


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    kind, name, modalities = "students", "t_mlp", frozenset({"image", "table"})
    units: Annotated[int, Integer(2, 64, log=True)]  # no default: the middle of the range on its own scale
    sizes: tuple[int, ...] = (1, 2)  # never searched
    limit: float | None = None  # may be nothing

    def build(self, context):
        return linear(context.task)


@dataclass(frozen=True, kw_only=True)
class Base:
    kind, name, modalities, teacher = "losses", "t_base", frozenset({"image", "table"}), "none"
    scale = 1.0
    weight: Annotated[float, Real(0.1, 1.0, log=True)] = 1.0  # weight

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class A:
    kind, name, modalities, teacher = "losses", "t_a", frozenset({"image", "table"}), "stored"
    scale = 1.0
    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # weight
    heat: Annotated[float, Real(1.0, 8.0)] = 4.0  # temperature

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class B:
    kind, name, modalities, teacher = "losses", "t_b", frozenset({"image", "table"}), "stored"
    scale = 1.0
    excludes: ClassVar[frozenset[str]] = frozenset({"t_a", "augments.mixup"})

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class C:
    kind, name, modalities, teacher = "losses", "t_c", frozenset({"image", "table"}), "stored"
    scale = 1.0
    requires: ClassVar[frozenset[str]] = frozenset({"t_a"})

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class D:
    kind, name, modalities, teacher, min_classes = "losses", "t_d", frozenset({"image", "table"}), "live", 3
    scale = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    def build(self, context): ...
"""

PLUGIN += """

@dataclass(frozen=True, kw_only=True)
class OwnHead:
    kind, name, modalities, teacher = "heads", "t_head", frozenset({"image", "table"}), "live"
    needs: ClassVar[frozenset[str]] = frozenset({"head"})
    requires: ClassVar[frozenset[str]] = frozenset({"losses.t_h"})
    excludes: ClassVar[frozenset[str]] = frozenset({"losses.t_a"})
    factor: Annotated[int, Choice(2, 4)] = 2  # of something

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class H:
    kind, name, modalities, teacher = "losses", "t_h", frozenset({"image", "table"}), "live"
    scale = 1.0
    requires: ClassVar[frozenset[str]] = frozenset({"heads.t_head"})
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
