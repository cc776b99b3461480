"""A network of the user's own code with weights from a file: package.module:factory[:key=value,…]@FILE."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError, nearest
from autokd.networks.bare import Bare, FromFile
from autokd.networks.fed import Fed
from autokd.networks.freeze import foreign
from autokd.networks.models import seeded
from autokd.networks.options import read_options
from autokd.networks.state_file import StateFile
from autokd.types import ANY, Task


@dataclass(frozen=True, kw_only=True)
class FactoryTeacher(FromFile, Fed):
    """What a function of an importable module, or of one in the current folder, returns; weights are the file's.

    The function is called with the given fields, and with `num_classes` where it has a parameter of that name.
    """

    declares = Teacher(modalities=ANY)

    factory: str  # package.module:function
    fields: tuple[str, ...] = ()  # "key=value", further arguments of the function
    file: str  # checkpoint
    key: str = ""  # of the weights in a file of several, or what their names begin with; "" for the averaged ones
    features: tuple[str, ...] = ()  # module paths of the feature stages; () for the last one at each spatial size

    @property
    def source(self) -> str:
        """Return what `--teacher` takes, without options."""
        return f"{self.factory}@{self.file}"

    def bare(self, task: Task, content: StateFile) -> Bare:
        """Return the network; see `autokd.networks.bare.FromFile`.

        Raises:
          TeacherError: the function cannot be imported, fails or returns no module.
        """
        return Bare(
            network=self._network(task.num_classes),
            source=self.source,
            identity={"factory": self.factory, "fields": list(self.fields)},
            form=self.form(),
            features=self.features,
        )

    def _network(self, num_classes: int) -> nn.Module:
        with _current_folder_importable(), seeded(0):
            function = _function(self.factory)
            with foreign(f"the teacher's factory {self.factory} failed"):
                wants = "num_classes" in inspect.signature(function).parameters
                known = {"num_classes": num_classes} if wants else {}
                arguments = {**known, **read_options(self.fields)}
                network = compat.with_torchvision(lambda: function(**arguments))
        if not isinstance(network, nn.Module):
            raise TeacherError(
                f"the teacher's factory {self.factory} must return an nn.Module, got {type(network).__name__}"
            )
        return network


def _function(path: str) -> Callable[..., Any]:
    module_name, _, name = path.partition(":")
    with foreign(f"the teacher's module {module_name!r} cannot be imported"):
        module = compat.with_torchvision(lambda: importlib.import_module(module_name))
    found: Any = vars(module).get(name)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise TeacherError(f"the module {module_name!r} has no function {name!r}; {nearest(name, functions)}")
    factory: Callable[..., Any] = found
    return factory


@contextlib.contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Look for modules in the current folder too, and leave the search path as it was."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
