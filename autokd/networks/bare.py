"""A network beside the file that its weights are in: loaded whole into a teacher, or begun anew with another head."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from autokd.errors import ComponentError, TeacherError
from autokd.networks import state_file
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import InputForm
from autokd.networks.freeze import InputRefused, foreign, freeze, resized_task
from autokd.networks.models import NetworkTeacher, answer_example, as_output, classifier_of, seeded
from autokd.networks.naming import Name, known_as
from autokd.networks.state_file import StateFile
from autokd.networks.weight_names import fit_names
from autokd.networks.weights import load_start, load_whole
from autokd.types import BuildContext, Task, Teacher


class Bare(NamedTuple):
    """A network as its architecture draws it at random.

    Args:
      network: [B, *input_shape] -> Output or logits.
      source: where its weights come from, for people and messages.
      identity: plain data that, with the weights, tells it apart from others.
      form: of the input that it was trained on.
      features: paths of the modules whose outputs are the features; () for the last one at each spatial size.
      name: by which a network of its form is made again; None: nobody can.
    """

    network: nn.Module
    source: str
    identity: Mapping[str, Any]
    form: InputForm
    features: Sequence[str] = ()
    name: Name | None = None

    def frozen(self, task: Task) -> NetworkTeacher:
        """Return it as a teacher; see `autokd.networks.freeze.freeze`."""
        teacher = freeze(
            self.network,
            task,
            source=self.source,
            identity=self.identity,
            inputs=self.form,
            features=self.features,
        )
        return teacher if self.name is None else known_as(teacher, self.name)


class FromFile(ABC):
    """A component that builds a network and loads its weights from a file.

    Args:
      file: the checkpoint.
      key: which weights of a file of several.
      classes: names in the order of the outputs that the user gave; () for none.
    """

    file: str
    key: str
    classes: tuple[str, ...]

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the network comes from, for people and messages."""

    @abstractmethod
    def bare(self, task: Task, content: StateFile) -> Bare:
        """Return the network for a task, its weights drawn from the current random state.

        Args:
          task: with the classes that it is to tell apart.
          content: of its file.

        Raises:
          TeacherError: it cannot be built.
        """

    def own_classes(self) -> tuple[str, ...]:
        """Return the names of its classes in the file."""
        return state_file.read(self.file, self.key).classes

    def build(self, context: BuildContext) -> Teacher:
        """Return the frozen teacher.

        Raises:
          MissingDependency: the library that has the architecture is not installed.
          TeacherError: there is no such architecture, or the checkpoint does not load whole or does not fit the data.
          ComponentError: a field of the architecture does not exist or has a value of the wrong type.
        """
        content = state_file.read(self.file, self.key)
        own = teachers_task(context.task, self.classes, content.classes, self.source)
        with seeded(0):
            bare = self.bare(own, content)
        load_whole(bare.network, content.state, own, bare.source, content.note)
        return by_name(bare.frozen(own), own, context.task)


def begin(component: FromFile, task: Task) -> Bare:
    """Return a network for other classes than those that it was trained on: its weights are the file's but the head.

    The head is the last linear layer with one output a class. It begins as the file has it where it fits there, and
    otherwise at random. A file may be without one.

    Args:
      component: loads the network.
      task: with the data's classes.

    Raises:
      TeacherError: the network cannot be built, its file is another network's, or it has no such head.
    """
    content = state_file.read(component.file, component.key)
    with seeded(0):
        bare = component.bare(task, content)
    seen = resized_task(task, bare.form.size)
    refused = f"the teacher {bare.source} does not take samples of shape {list(seen.input_shape)}"
    with foreign(refused, InputRefused):
        outputs = as_output(answer_example(bare.network.eval(), seen)).logits.shape[1]
    own = task if outputs == task.num_classes else dataclasses.replace(task, classes=tuple(map(str, range(outputs))))
    head = classifier_of(bare.network, own)
    if not head:
        raise TeacherError(
            f"--fine-tune gives a network a new head, and {bare.source} has no linear layer with one output a class; "
            "give another network, or one that was trained on these classes without --fine-tune"
        )
    try:
        load_start(bare.network, _fitted(content.state, bare.network.state_dict(), head), own, bare.source, "network")
    except ComponentError as error:
        raise TeacherError(f"{error}; a network is fine-tuned from a file of its own weights") from error
    if own is not task:
        _replace_head(bare.network, head, task.num_classes)
    return bare


def _fitted(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: str) -> Mapping[str, Tensor]:
    """A file's tensors for a network that may have a head where the file has none, and see grey where it saw colours.

    Where one channel takes the place of three, the first layer sums its weights over them, as timm does.
    """
    fit = fit_names(state, expected)
    if fit.rivals:
        return state
    own = {key: value for key, value in expected.items() if key.startswith(f"{head}.")}
    found = {**({} if own.keys() & fit.state.keys() else own), **fit.state}
    return {
        key: _grey(value) if key in expected and _is_first(value, expected[key]) else value
        for key, value in found.items()
    }


def _grey(weight: Tensor) -> Tensor:
    return weight.sum(1, keepdim=True)


def _is_first(found: Tensor, expected: Tensor) -> bool:
    """Whether a tensor is the weight of a layer that sees three channels, and is to see one."""
    shape = tuple(found.shape)
    return len(shape) == 4 and shape[1] == 3 and tuple(expected.shape) == (shape[0], 1, *shape[2:])


def _replace_head(network: nn.Module, head: str, classes: int) -> None:
    old = network.get_submodule(head)
    assert isinstance(old, nn.Linear)
    with seeded(0):
        network.set_submodule(head, nn.Linear(old.in_features, classes, bias=old.bias is not None))
