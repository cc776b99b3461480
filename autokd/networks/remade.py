"""A network that is made again by its name, as its library or autokd makes it, and a copy of a teacher's with weights.

The name is what a reference to a teacher has before its @: `resnet:depth=14,width=32`, or
`timm:vit_tiny_patch16_224:img_size=32,mean=0.5,std=0.5`. Functions of the user's own (package.module:factory) are left
out: a student bundle has the name in it, and loading one runs no code that it names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from torch import nn

from autokd import spec
from autokd.errors import ComponentError
from autokd.networks.class_names import ByName, whole
from autokd.networks.fed import AS_THE_DATA, Frozen, InputForm
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher, classifier_of
from autokd.networks.reference import parse_network
from autokd.types import Task, Teacher

_BY_NAME = ("autokd", "timm", "torchvision")
"""Teachers whose networks are made again by name."""
_NOT_FROM_A_FILE = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
"""Options of a library that would read weights or fetch them."""


class Remade(NamedTuple):
    """A network with weights as its architecture draws them.

    Args:
      network: normalised inputs -> Output, or logits [B, C].
      form: the input that it is fed.
      features: paths of the modules whose outputs are its features; () for the last one at each spatial size.
    """

    network: nn.Module
    form: InputForm
    features: tuple[str, ...] = ()


class Remaking(Protocol):
    """A teacher component whose network is made by name."""

    def remake(self, task: Task) -> Remade:
        """Return the network from the current random state."""


def remake(name: str, task: Task) -> Remade:
    """Return a network of a task by its name; "": that of the default teacher for such data.

    Raises:
      ComponentError, TeacherError: there is no such network, or it does not take the task's samples.
      MissingDependency: its library is not installed.
    """
    use, values = parse_network(name or default_network(task))
    if use not in _BY_NAME:
        raise ComponentError(f"the network {name!r} is none of autokd's, timm's or torchvision's")
    for item in values.get("fields", ()):
        if item.partition("=")[0] in _NOT_FROM_A_FILE:
            raise ComponentError(f"the network {name!r} is made without weights; leave {item} out")
    component: Remaking = spec.make("teachers", use, {**values, "file": ""})
    return component.remake(task)


def default_network(task: Task) -> str:
    """Return the name of the network of autokd's own teacher for a kind of input."""
    kind = kind_of(task.modality)
    recipe = kind.teacher_recipe(task, kind.teacher_networks[0])
    return name_of(recipe.pipelines[0]["student"])


def name_of(student: Any) -> str:
    """Return the name of a network of a plain student.

    >>> name_of({"use": "resnet", "depth": 14, "width": 32})
    'resnet:depth=14,width=32'
    """
    return with_options(student["use"], options_of(student))


def options_of(student: Any) -> list[str]:
    """Return the fields of a plain student as options of a name."""
    return [f"{key}={value}" for key, value in student.items() if key != "use"]


def with_options(head: str, options: Iterable[str]) -> str:
    """Return a name with options.

    >>> with_options("timm:vit", ["img_size=32"]), with_options("mlp", [])
    ('timm:vit:img_size=32', 'mlp')
    """
    joined = ",".join(options)
    return f"{head}:{joined}" if joined else head


def known_as(teacher: NetworkTeacher, head: str, options: Sequence[str], *, own_input: bool = True) -> NetworkTeacher:
    """Return a frozen teacher that says by which name its network is made again, with the input that it is fed.

    Args:
      teacher: of one network; it is changed in place.
      head, options: name of the network, without what it is fed.
      own_input: a network of this name is fed in its library's way where nothing is said, so it is always said.
    """
    assert teacher.frozen is not None
    form, task = teacher.frozen.form, teacher.task
    mean, std = form.mean or (task.mean if own_input else ()), form.std or (task.std if own_input else ())
    fed = {"mean": mean, "std": std, "input_size": (form.size,) if form.size else ()}
    said = [f"{key}={','.join(map(repr, values))}" for key, values in fed.items() if values]
    teacher.offers = teacher.offers._replace(network=with_options(head, [*options, *said]))
    return teacher


def own_network(teacher: NetworkTeacher, student: Any) -> NetworkTeacher:
    """Return a teacher of a plain student's networks, fed as the data are, that says its name if it is a single one."""
    if len(teacher.modules) > 1:
        return teacher
    teacher.frozen = Frozen(teacher.modules[0], AS_THE_DATA)
    return known_as(teacher, student["use"], options_of(student), own_input=False)


def copied(teacher: Teacher) -> nn.Module:
    """Return a copy of a teacher's network, of whose outputs there is one for each class of the data, in their order.

    Raises:
      ComponentError: it is no network, or no linear layer has one output for each of its classes.
    """
    inner = whole(teacher)
    frozen = inner.frozen if isinstance(inner, NetworkTeacher) else None
    if frozen is None:
        raise ComponentError(f"the teacher {teacher.origin} is no single network, of which there is a copy")
    network = copy.deepcopy(frozen.network)
    if isinstance(teacher, ByName):
        path = classifier_of(network, cast(NetworkTeacher, inner).task)
        if not path:
            raise ComponentError(f"the teacher {teacher.origin} has no linear layer for its classes, to leave some out")
        _take_rows(cast(nn.Linear, network.get_submodule(path)), teacher.outputs)
    return network


def _take_rows(classifier: nn.Linear, rows: Sequence[int]) -> None:
    """Leave the outputs at some places, in this order."""
    classifier.weight = nn.Parameter(classifier.weight.detach()[list(rows)])
    if classifier.bias is not None:
        classifier.bias = nn.Parameter(classifier.bias.detach()[list(rows)])
    classifier.out_features = len(rows)
