"""A classifier of torchvision with weights from a file: torchvision:NAME[:key=value,…]@FILE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError, nearest
from autokd.networks.bare import Bare, FromFile
from autokd.networks.fed import IMAGENET_MEAN, IMAGENET_STD, Fed, InputForm
from autokd.networks.freeze import foreign
from autokd.networks.library import with_channels
from autokd.networks.naming import Name
from autokd.networks.options import read_options
from autokd.networks.state_file import StateFile
from autokd.types import IMAGE, Task

OWN_SIZE = 224
"""Side in pixels that nearly all of torchvision's weights were trained at."""


@dataclass(frozen=True, kw_only=True)
class TorchvisionTeacher(FromFile, Fed):
    """A torchvision classifier; class count and input channels are the data's, the weights only ever the file's.

    Its input is normalised with ImageNet's numbers, as torchvision's own training does; where the data have not three
    channels, with the data's.
    """

    declares = Teacher(modalities=IMAGE)

    model: str  # torchvision's name, such as resnet18
    fields: tuple[str, ...] = ()  # "key=value", further arguments of torchvision.models.get_model
    file: str  # checkpoint
    key: str = ""  # of the weights in a file of several, or what their names begin with; "" for the averaged ones
    mean: tuple[float, ...] = IMAGENET_MEAN  # per channel, of the teacher's own input; () for the data's
    std: tuple[float, ...] = IMAGENET_STD  # per channel, of the teacher's own input; () for the data's
    features: tuple[str, ...] = ()  # module paths of the feature stages; () for the last one at each spatial size

    @property
    def source(self) -> str:
        """Return what `--teacher` takes, without options."""
        return f"torchvision:{self.model}@{self.file}"

    def bare(self, task: Task, content: StateFile) -> Bare:
        """Return the classifier; see `autokd.networks.bare.FromFile`.

        Raises:
          TeacherError: torchvision has no such classifier, or cannot build it.
        """
        return Bare(
            network=self._network(task, self.source),
            source=self.source,
            identity={"model": self.model, "fields": list(self.fields)},
            form=self._with_usual(task.input_shape[0]),
            features=self.features,
            name=Name(f"torchvision:{self.model}", self._options(), own_input=True),
        )

    def _options(self) -> list[str]:
        """What its name has beside the model."""
        return [*self.fields, *([f"features={','.join(self.features)}"] if self.features else [])]

    def _with_usual(self, channels: int) -> InputForm:
        """The input to feed: ImageNet's numbers are torchvision's default, and no default without three channels."""
        usual = (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD)
        if channels == len(IMAGENET_MEAN):
            ours = replace(self.form(), source="ImageNet's, torchvision's default", own_size=OWN_SIZE)
            return ours if usual else self.form()
        mean = () if self.mean == IMAGENET_MEAN else self.mean
        std = () if self.std == IMAGENET_STD else self.std
        return replace(self, mean=mean, std=std).form()

    def _network(self, task: Task, source: str) -> nn.Module:
        models = compat.torchvision().models
        names = models.list_models(module=models)  # classifiers only: detection and the like have their own modules
        if self.model not in names:
            raise TeacherError(f"torchvision has no classifier {self.model!r}; {nearest(self.model, names)}")
        arguments: dict[str, Any] = {"num_classes": task.num_classes, **read_options(self.fields)}
        with foreign(f"the teacher {source} cannot be built with {arguments}"):
            network: nn.Module = models.get_model(self.model, weights=None, **arguments)
            return with_channels(network, task.input_shape[0])
