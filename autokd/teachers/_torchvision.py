"""A classifier of torchvision with weights from a file: torchvision:NAME[:key=value,…]@FILE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError, nearest
from autokd.networks import state_file
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import IMAGENET_MEAN, IMAGENET_STD, Fed, InputForm
from autokd.networks.freeze import foreign, freeze
from autokd.networks.models import seeded
from autokd.networks.options import read_options
from autokd.networks.remade import Remade, known_as
from autokd.networks.weights import load_whole
from autokd.types import IMAGE, BuildContext, Task
from autokd.types import Teacher as AnyTeacher


@dataclass(frozen=True, kw_only=True)
class TorchvisionTeacher(Fed):
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

    def own_classes(self) -> tuple[str, ...]:
        """Return the names of its classes in the file."""
        return state_file.read(self.file, self.key).classes

    def build(self, context: BuildContext) -> AnyTeacher:
        """Return the frozen teacher.

        Raises:
          TeacherError: torchvision has no such classifier, or the checkpoint does not load whole or does not fit the
            data.
        """
        content = state_file.read(self.file, self.key)
        source = f"torchvision:{self.model}@{self.file}"
        own = teachers_task(context.task, self.classes, content.classes, source)
        with seeded(0):
            module = self._network(own, source)
        load_whole(module, content.state, own, source, content.note)
        teacher = freeze(
            module,
            own,
            source=source,
            identity={"model": self.model, "fields": list(self.fields)},
            inputs=self._with_usual(context.task.input_shape[0]),
            features=self.features,
        )
        return by_name(known_as(teacher, f"torchvision:{self.model}", self._options()), own, context.task)

    def remake(self, task: Task) -> Remade:
        """Return a network of this name with weights as torchvision draws them; see `autokd.networks.remade`."""
        module = self._network(task, f"torchvision:{self.model}")
        return Remade(module, self._with_usual(task.input_shape[0]), self.features)

    def _options(self) -> list[str]:
        """What its name has beside the model."""
        return [*self.fields, *([f"features={','.join(self.features)}"] if self.features else [])]

    def _with_usual(self, channels: int) -> InputForm:
        """The input to feed: ImageNet's numbers are torchvision's default, and no default without three channels."""
        usual = (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD)
        if channels == len(IMAGENET_MEAN):
            return replace(self.form(), source="ImageNet's, torchvision's default") if usual else self.form()
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
            return _with_channels(network, task.input_shape[0])


def _with_channels(network: nn.Module, channels: int) -> nn.Module:
    """Give the first convolution another number of input channels, where it has not got that number already."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != channels:
        stem = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            bias=first.bias is not None,
        )
        network.set_submodule(name, stem)
    return network
