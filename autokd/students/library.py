"""What students of other libraries have in common: a family of components, one for each network of the library."""

from __future__ import annotations

import functools
import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from autokd.declarations import Part, Student
from autokd.errors import ComponentError, UserError, one_line
from autokd.networks.attention import find_watch
from autokd.networks.cost import shapes_alone
from autokd.networks.entrance import Entrance
from autokd.networks.fed import InputForm
from autokd.networks.inputs import kind_of
from autokd.networks.library import COLOURS, LibraryNetwork, Offered, Ways, offered_by
from autokd.networks.models import classifiers_of, seeded
from autokd.types import BuildContext, Task


@dataclass(frozen=True, kw_only=True)
class LibraryStudent:
    """A network of a library; abstract.

    A class of one network is made by `named`; that one is a component, the class of a library is not.
    """

    declares: ClassVar[Student]
    model: ClassVar[str] = ""

    drop_path: float | None = None  # largest probability that training leaves out a residual block, where it can
    input_size: int | None = None  # side in pixels to which pictures are resized inside the student; None: they are not
    mean: tuple[float, ...] = ()  # per channel, that it is fed with; () for that of the library's weights
    std: tuple[float, ...] = ()  # per channel, that it is fed with; () for that of the library's weights

    def __post_init__(self) -> None:
        _refuse(bool(self.model), f"name one of its networks, as {self.example()}")
        dropped, side = self.drop_path or 0.0, self.input_size or 0
        _refuse(0 <= dropped < 1, f"drop_path is a probability, at least 0 and below 1, got {dropped}")
        _refuse(side >= 0, f"input_size is a side in pixels, or 0 to resize nothing, got {side}")
        fitting = all(len(values) in (0, 1, COLOURS) for values in (self.mean, self.std))
        _refuse(fitting, "mean and std have one value, or one a channel")
        _refuse(min(self.std, default=1) > 0, f"std is positive, got {list(self.std)}")
        if self.drop_path:
            drops: bool = drops_paths(type(self))  # type: ignore[arg-type]  # a class is hashable
            _refuse(drops, f"{self.declares.name} has no drop path; leave drop_path at 0")

    @classmethod
    @abstractmethod
    def example(cls) -> str:
        """Return the name of one of the components, for messages."""

    @classmethod
    @abstractmethod
    def check(cls, model: str) -> None:
        """Raise ComponentError where the library has no network of this name."""

    @classmethod
    @abstractmethod
    def form(cls) -> InputForm:
        """Return what the library feeds its weights for this network with, and the side of its pictures."""

    @abstractmethod
    def make(self, task: Task) -> nn.Module:
        """Return the library's network for pictures of a task, its weights drawn as the library does."""

    def stages(self, network: nn.Module) -> Sequence[tuple[str, int]]:
        """Return the paths of its stages with their channels; [] where the library does not say."""
        return []

    def ways(self) -> Ways:
        """Return what the library does with such a network."""
        return Ways()

    @classmethod
    def named(cls, model: str) -> type[Self]:
        """Return the component of one network.

        Raises:
          ComponentError: the library has none of this name.
          MissingDependency: the library is not installed.
        """
        cls.check(model)
        family = cls.__module__.rpartition(".")[2].lstrip("_")
        name = f"{family}:{model}"
        body: dict[str, Any] = {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": f"The network {model} of {family}.",
            "model": model,
            "declares": replace(cls.declares, name=name, family=False),
        }
        made: Any = dataclass(frozen=True, kw_only=True)(type(cls.__name__, (cls,), body))
        made.declares = replace(made.declares, offers=_parts(made()))
        component: type[Self] = made
        return component

    @classmethod
    def file_in(cls, folder: Path) -> Path | None:
        """Return the file of its weights in a folder, or None: called after the network, with a tag or a hash or none.

        NAME.safetensors, NAME.TAG.pth, NAME-HASH.pth or NAME/model.safetensors; the shortest name is taken.
        """
        files = [path for name, path in files_of_weights(folder) if _is_called(name, cls.model)]
        return min(files, key=lambda path: (len(str(path)), str(path)), default=None)

    @classmethod
    def fed_by(cls, file: Path) -> dict[str, list[float]]:
        """Return mean and std that the weights in a file were trained with, where they are not those of `form`.

        They are what a config.json beside it says, as the model hub of timm has it.
        """
        config = file.parent / "config.json"
        try:
            said = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
        except ValueError:
            return {}
        known = {**said, **said.get("pretrained_cfg", {})} if isinstance(said, dict) else {}
        return cls._apart(known.get("mean", ()), known.get("std", ()))

    @classmethod
    def _apart(cls, mean: Sequence[float], std: Sequence[float]) -> dict[str, list[float]]:
        """Mean and std as fields, where they are known and not those of `form`."""
        usual = cls.form()
        if not len(mean) == len(std) == COLOURS or (tuple(mean), tuple(std)) == (tuple(usual.mean), tuple(usual.std)):
            return {}
        return {"mean": list(mean), "std": list(std)}

    def build(self, context: BuildContext) -> nn.Module:
        """Return the network with what it is fed with before it, and hooks that catch what it offers.

        Raises:
          ComponentError: the library refuses to make it for such pictures.
        """
        task = self._resized(context.task)
        offered = _offered(self, task)
        network = self._made(task)
        form = _for_channels(self.form(), context.task.input_shape[0])
        form = replace(form, mean=self.mean or form.mean, std=self.std or form.std, size=self.input_size or 0)
        return LibraryNetwork(network, Entrance(context.task, form), offered, self.ways())

    def _resized(self, task: Task) -> Task:
        return kind_of(task.modality).resized_task(task, self.input_size) if self.input_size else task

    def _made(self, task: Task) -> nn.Module:
        shape = "×".join(map(str, task.input_shape))
        try:
            return self._on_shapes(task) if torch.get_default_device().type == "meta" else self.make(task)
        except UserError:
            raise
        except Exception as error:  # a library's network may raise anything; it becomes one clear line
            why = f"{type(error).__name__}: {one_line(error)}"
            raise ComponentError(f"{self.declares.name} is not made for pictures of {shape} ({why})") from error

    def _on_shapes(self, task: Task) -> nn.Module:
        """The network on shapes alone; made apart where the library computes with numbers as it makes one."""
        try:
            return self.make(task)
        except NotImplementedError:
            with seeded(0), torch.device("cpu"):
                return self.make(task).to("meta")


SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
"""Endings of files of weights."""
WHOLE = ("model.safetensors", "pytorch_model.bin")
"""Names of the file of weights in a folder of a model hub."""


def files_of_weights(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of weights in a folder, each with the name that is to say whose they are.

    NAME.safetensors or another of `SUFFIXES`, or NAME/model.safetensors or another of `WHOLE`; a NAME may have a tag
    (".r224_in1k") or a hash ("-5c106cde").
    """
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and path.is_file():
            yield path.stem, path
        yield from ((path.name, path / name) for name in WHOLE if (path / name).is_file())


def _is_called(name: str, model: str) -> bool:
    """Whether a name is a network's, perhaps with a tag or a hash."""
    return re.fullmatch(rf"{re.escape(model)}([.-].*)?", name) is not None


@functools.lru_cache(maxsize=1024)
def _offered(student: LibraryStudent, task: Task) -> Offered:
    """Where a network has what it offers, found on shapes alone and without touching the random state."""
    shape = "×".join(map(str, task.input_shape))
    with seeded(0), shapes_alone():
        network = student._made(task).eval()
        try:
            return offered_by(network, task, student.stages(network))
        except UserError:
            raise
        except Exception as error:  # as above
            why = f"{type(error).__name__}: {one_line(error)}"
            raise ComponentError(f"{student.declares.name} does not take pictures of {shape} ({why})") from error


def _own_task(student: LibraryStudent) -> Task:
    """A made-up task with pictures of the network's own size."""
    (modality,) = student.declares.modalities
    side = student.form().own_size
    classes = ("0", "1", "2")
    return Task(dataset="", modality=modality, input_shape=(COLOURS, side, side), classes=classes, train_size=1)


def _parts(student: LibraryStudent) -> frozenset[Part]:
    """The parts of its output that losses may read; without attention there are features and the embedding."""
    task = _own_task(student)
    with seeded(0), shapes_alone():
        network = student._made(task)
    if not any(find_watch(module) for module in network.modules()):
        return frozenset({"features", "pooled"} if classifiers_of(network, task) else {"features"})
    offered = _offered(student, task)
    there: dict[Part, object] = {
        "features": offered.features,
        "pooled": offered.classifier,
        "tokens": offered.tokens,
        "attention": offered.attention,
    }
    return frozenset(part for part, paths in there.items() if paths)


@functools.cache
def drops_paths(component: type[LibraryStudent]) -> bool:
    """Whether a network of a library takes a probability of leaving out blocks."""
    trial = component()
    object.__setattr__(trial, "drop_path", 0.1)  # as if it had been checked
    try:
        with seeded(0), shapes_alone():
            trial.make(_own_task(trial))
    except TypeError:
        return False
    return True


def _refuse(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def _for_channels(form: InputForm, channels: int) -> InputForm:
    """Mean and std for pictures of another number of channels: their means over the colours for grey, else none."""
    if channels == len(form.mean):
        return form
    if channels == 1:
        return replace(form, mean=(_mean(form.mean),), std=(_mean(form.std),))
    return replace(form, mean=(), std=())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
