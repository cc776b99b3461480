"""A model of timm (PyTorch Image Models) with weights from a file: timm:NAME[:key=value,…]@FILE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError, nearest
from autokd.networks.bare import Bare, FromFile
from autokd.networks.fed import Fed, InputForm
from autokd.networks.freeze import foreign
from autokd.networks.naming import Name
from autokd.networks.options import read_options
from autokd.networks.state_file import StateFile
from autokd.types import IMAGE, Task


@dataclass(frozen=True, kw_only=True)
class TimmTeacher(FromFile, Fed):
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

    @property
    def source(self) -> str:
        """Return what `--teacher` takes, without options."""
        return f"timm:{self.model}@{self.file}"

    def bare(self, task: Task, content: StateFile) -> Bare:
        """Return the model; see `autokd.networks.bare.FromFile`.

        Raises:
          MissingDependency: timm is not installed.
          TeacherError: timm has no such model, or cannot build it.
        """
        network = self._network(task, self.source)
        return Bare(
            network=network,
            source=self.source,
            identity={"model": self.model, "fields": list(self.fields)},
            form=self.form(_own_form(network, task.input_shape[0])),
            features=self.features,
            name=Name(f"timm:{self.model}", self._options(), own_input=True),
        )

    def _options(self) -> list[str]:
        """What its name has beside the model."""
        return [*self.fields, *([f"features={','.join(self.features)}"] if self.features else [])]

    def _network(self, task: Task, source: str) -> nn.Module:
        timm = compat.timm()
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
