"""What goes into a network that another tool trained: as a value, and as the fields that every way to load one has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

THE_DATA = "the data's"
GIVEN = "given"
"""Whose mean and standard deviation they are, where they are the data's or the user said them."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class InputForm:
    """The input that a network was trained on, where it is not the data's.

    Args:
      mean, std: per channel; one value stands for all channels, () for the task's own.
      size: side in pixels to which images are resized (bilinear) inside the teacher; 0 for no resizing.
      source: whose mean and std they are, for people.
      own_size: side in pixels that the network's configuration names; 0 for none. Nothing is resized for it.
      own_crop: share of a picture's side that evaluation as configured keeps in its middle, in (0, 1]. Nothing is cut.
    """

    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    size: int = 0
    source: str = THE_DATA
    own_size: int = 0
    own_crop: float = 1.0


AS_THE_DATA = InputForm()


class Frozen(NamedTuple):
    """What a teacher was frozen from.

    Args:
      network: without a resize before it and without hooks; shares its weights with the teacher.
      form: the input that it is fed.
    """

    network: nn.Module
    form: InputForm


@dataclass(frozen=True, kw_only=True)
class Fed:
    """What a network was trained on, where that is not the data's, and which classes its outputs stand for."""

    mean: tuple[float, ...] = ()  # per channel, of the teacher's own input; () for what its file says, else the data's
    std: tuple[float, ...] = ()  # per channel, of the teacher's own input; () for what its file says, else the data's
    input_size: int = 0  # pixels; images are resized to it inside the teacher; 0: they are not
    classes: tuple[str, ...] = ()  # names in the order of its outputs; () for what its file says, else the data's

    def form(self, said: InputForm = AS_THE_DATA) -> InputForm:
        """Return the input to feed: what these fields say, else what the network's file or configuration says."""
        given = bool(self.mean or self.std)
        return InputForm(
            mean=self.mean or said.mean,
            std=self.std or said.std,
            size=self.input_size or said.size,
            source=GIVEN if given else said.source if said.mean or said.std else THE_DATA,
            own_size=said.own_size,
            own_crop=said.own_crop,
        )

    def own_classes(self) -> tuple[str, ...]:
        """Return the names of its classes that its file has, in the order of its outputs; () where it has none."""
        return ()


FORM = ("mean", "std", "input_size")
"""The fields of `Fed`, which autokd may choose where the user leaves them open."""
