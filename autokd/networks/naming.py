"""The name by which a network is made again: what a reference to a teacher has before its @."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from autokd.networks.fed import AS_THE_DATA, Frozen
from autokd.networks.models import NetworkTeacher


class Name(NamedTuple):
    """Name of a network, without what it is fed.

    Args:
      head: `resnet`, `timm:vit_tiny_patch16_224`.
      options: "key=value".
      own_input: where nothing is said it is fed in its library's way, so that what it is fed is always said.
    """

    head: str
    options: Sequence[str]
    own_input: bool = False

    def with_options(self, more: Iterable[str] = ()) -> str:
        """Return the text, with more options.

        >>> Name("timm:vit", ["img_size=32"], True).with_options(["std=0.5"]), Name("mlp", []).with_options()
        ('timm:vit:img_size=32,std=0.5', 'mlp')
        """
        joined = ",".join([*self.options, *more])
        return f"{self.head}:{joined}" if joined else self.head


def of_student(student: Mapping[str, Any]) -> Name:
    """Return the name of the network of a plain student."""
    return Name(str(student["use"]), [f"{key}={value}" for key, value in student.items() if key != "use"])


def known_as(teacher: NetworkTeacher, name: Name) -> NetworkTeacher:
    """Return a frozen teacher that says by which name its network is made again, with the input that it is fed.

    Args:
      teacher: of one network; it is changed in place.
      name: of the network.
    """
    assert teacher.frozen is not None
    form, task = teacher.frozen.form, teacher.task
    mean, std = form.mean or (task.mean if name.own_input else ()), form.std or (task.std if name.own_input else ())
    fed = {"mean": mean, "std": std, "input_size": (form.size,) if form.size else ()}
    said = [f"{key}={','.join(map(repr, values))}" for key, values in fed.items() if values]
    teacher.offers = teacher.offers._replace(network=name.with_options(said))
    return teacher


def own_network(teacher: NetworkTeacher, student: Mapping[str, Any]) -> NetworkTeacher:
    """Return a teacher of a plain student's networks, fed as the data are, that says its name if it is a single one."""
    if len(teacher.modules) > 1:
        return teacher
    teacher.frozen = Frozen(teacher.modules[0], AS_THE_DATA)
    return known_as(teacher, of_student(student))
