"""A network that is made again by its name, as its library or autokd makes it, and a copy of a teacher's with weights.

The name is what a reference to a teacher has before its @: `resnet:depth=14,width=32`, or
`timm:vit_tiny_patch16_224:img_size=32,mean=0.5,std=0.5`. Functions of the user's own (package.module:factory) are left
out: a student bundle has the name in it, and loading one runs no code that it names.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

from torch import nn

from autokd import spec
from autokd.errors import ComponentError
from autokd.networks.bare import Bare, FromFile
from autokd.networks.class_names import ByName, whole
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher, classifier_of
from autokd.networks.naming import of_student
from autokd.networks.reference import parse_network
from autokd.networks.state_file import NOTHING
from autokd.types import Task, Teacher

_BY_NAME = ("autokd", "timm", "torchvision")
"""Teachers whose networks are made again by name."""
_NOT_FROM_A_FILE = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
"""Options of a library that would read weights or fetch them."""


def remake(name: str, task: Task) -> Bare:
    """Return a network of a task by its name, drawn from the current random state; "": that of the default teacher.

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
    component: FromFile = spec.make("teachers", use, {**values, "file": ""})
    return component.bare(task, NOTHING)


def default_network(task: Task) -> str:
    """Return the name of the network of autokd's own teacher for a kind of input."""
    kind = kind_of(task.modality)
    recipe = kind.teacher_recipe(task, kind.teacher_networks[0])
    return of_student(recipe.pipelines[0]["student"]).with_options()


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
