"""A model of timm (PyTorch Image Models) with weights from a file: timm:NAME[:key=value,…]@FILE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError, nearest
from autokd.networks import state_file
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import Fed, InputForm
from autokd.networks.freeze import foreign, freeze
from autokd.networks.models import seeded
from autokd.networks.options import read_options
from autokd.networks.remade import Remade, known_as
from autokd.networks.weights import load_whole
from autokd.types import IMAGE, BuildContext, Task
from autokd.types import Teacher as AnyTeacher


@dataclass(frozen=True, kw_only=True)
class TimmTeacher(Fed):
    """A timm model; class count and input channels are the data's, the weights only ever the file's.

    Its input is normalised with `mean` and `std`, else with those of the model's own configuration where they have as
    many values as the data has channels.
    """

    declares = Teacher(modalities=IMAGE)

    model: str  # timm's name, such as resnet18 or vit_tiny_patch16_224.augreg_in21k_ft_in1k
    fields: tuple[str, ...] = ()  # "key=value", further arguments of timm.create_model, such as img_size=32
    file: str  # checkpoint
    key: str = ""  # of the weights in a file of several, or what their names begin with; "" for the averaged ones
    features: tuple[str, ...] = ()  # module paths of the feature stages; () for the last one at each spatial size

    def own_classes(self) -> tuple[str, ...]:
        """Return the names of its classes in the file."""
        return state_file.read(self.file, self.key).classes

    def build(self, context: BuildContext) -> AnyTeacher:
        """Return the frozen teacher.

        Raises:
          MissingDependency: timm is not installed.
          TeacherError: timm has no such model, or the checkpoint does not load whole or does not fit the data.
        """
        content = state_file.read(self.file, self.key)
        source = f"timm:{self.model}@{self.file}"
        own = teachers_task(context.task, self.classes, content.classes, source)
        with seeded(0):
            module = self._network(own, source)
        load_whole(module, content.state, own, source, content.note)
        teacher = freeze(
            module,
            own,
            source=source,
            identity={"model": self.model, "fields": list(self.fields)},
            inputs=self.form(_own_form(module, context.task.input_shape[0])),
            features=self.features,
        )
        return by_name(known_as(teacher, f"timm:{self.model}", self._options()), own, context.task)

    def remake(self, task: Task) -> Remade:
        """Return a network of this name with weights as timm draws them; see `autokd.networks.remade`."""
        module = self._network(task, f"timm:{self.model}")
        return Remade(module, self.form(_own_form(module, task.input_shape[0])), self.features)

    def _options(self) -> list[str]:
        """What its name has beside the model."""
        return [*self.fields, *([f"features={','.join(self.features)}"] if self.features else [])]

    def _network(self, task: Task, source: str) -> nn.Module:
        timm = _timm()
        if not timm.is_model(self.model):
            raise TeacherError(f"timm has no model {self.model!r}; {_hint(self.model, timm.list_models())}")
        arguments: dict[str, Any] = {
            "num_classes": task.num_classes,
            "in_chans": task.input_shape[0],
            **read_options(self.fields),
        }
        with foreign(f"the teacher {source} cannot be built with {arguments}"):
            network: nn.Module = timm.create_model(self.model, pretrained=False, **arguments)
        return network


def _timm() -> Any:
    compat.torchvision()  # timm imports torchvision, which may need help to import
    return compat.import_module("timm", "timm")


def _hint(name: str, models: list[str]) -> str:
    text = nearest(name, models)
    return text if text.startswith("did") else "python -c 'import timm; print(timm.list_models())' lists them"


def _own_form(module: nn.Module, channels: int) -> InputForm:
    """Mean and std of the model's configuration, where they are for as many channels, and its size and crop."""
    configuration: Any = module.pretrained_cfg
    mean, std = tuple(configuration.get("mean", ())), tuple(configuration.get("std", ()))
    size = int(tuple(configuration.get("input_size", ()) or (0,))[-1])
    crop = float(configuration.get("crop_pct") or 1.0)
    if not len(mean) == len(std) == channels:
        return InputForm(own_size=size, own_crop=crop)
    return InputForm(mean=mean, std=std, source="its configuration's", own_size=size, own_crop=crop)
