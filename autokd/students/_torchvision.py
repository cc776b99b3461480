"""A classifier of torchvision: torchvision:NAME, such as torchvision:mobilenet_v3_small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from autokd import compat
from autokd.declarations import Student
from autokd.errors import ComponentError, nearest
from autokd.networks.fed import IMAGENET_MEAN, IMAGENET_STD, InputForm
from autokd.networks.library import with_channels
from autokd.students.library import LibraryStudent
from autokd.types import IMAGE, Task

_SIDE = 224
"""Of the pictures that most of torchvision's weights were trained on."""
_TRANSFORMER = "vit_"
"""What the names of networks begin with that are made for one size of pictures."""


@dataclass(frozen=True, kw_only=True)
class Torchvision(LibraryStudent):
    """A classifier of torchvision at its own size, made for the data's classes and channels.

    Features are the outermost modules at each spatial size. Its pictures are normalised with ImageNet's numbers, as
    torchvision's own training does.
    """

    declares = Student(modalities=IMAGE, family=True)

    @classmethod
    def example(cls) -> str:
        """Return the name of one of the components, for messages."""
        return "torchvision:mobilenet_v3_small"

    @classmethod
    def check(cls, model: str) -> None:
        """Raise ComponentError where torchvision has no classifier of this name."""
        models = compat.torchvision().models
        names = models.list_models(module=models)  # classifiers only: detection and the like have their own modules
        if model not in names:
            raise ComponentError(f"torchvision has no classifier {model!r}; {nearest(model, names)}")

    @classmethod
    def form(cls) -> InputForm:
        """Return ImageNet's mean and std, and the usual side."""
        return InputForm(mean=IMAGENET_MEAN, std=IMAGENET_STD, own_size=_SIDE)

    def make(self, task: Task) -> nn.Module:
        """Return torchvision's network."""
        arguments: dict[str, Any] = {"num_classes": task.num_classes}
        if self.drop_path:
            arguments["stochastic_depth_prob"] = self.drop_path
        if self.model.startswith(_TRANSFORMER):
            arguments["image_size"] = task.input_shape[-1]
        network: nn.Module = compat.torchvision().models.get_model(self.model, weights=None, **arguments)
        return with_channels(network, task.input_shape[0])
