"""What brings a student's pictures to those that a network of other weights was trained on."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from autokd import batching
from autokd.networks.fed import InputForm
from autokd.networks.inputs import feed_of
from autokd.networks.models import renormalisation
from autokd.types import Task


class Entrance(nn.Module):
    """From pictures as the data are normalised to those that a network is made for.

    Args:
      task: whose pictures come in.
      form: mean, std and side in pixels of those that go out; without them, or with side 0, as they came. Pictures of
        twice the side or more are averaged over whole pixels before they are resized (bilinear): runtimes know both.
    """

    def __init__(self, task: Task, form: InputForm) -> None:
        super().__init__()
        change = renormalisation(task, tuple(form.mean) or None, tuple(form.std) or None)
        scale, offset = change or (None, None)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        came, side = tuple(batching.single(feed_of(task).example(1, None)).shape[-2:]), form.size
        self._size = (side, side) if side and came != (side, side) else None
        self._whole = tuple(max(1, each // side) for each in came) if side else (1, 1)

    @property
    def normalises(self) -> bool:
        """Whether mean or std are others than the data's."""
        return self.scale is not None

    def normalise(self, x: Tensor) -> Tensor:
        """Return pictures of the same size with the network's own mean and std."""
        scale, offset = cast("Tensor | None", self.scale), cast("Tensor | None", self.offset)
        return x if scale is None or offset is None else x * scale + offset

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, size, size]."""
        x = self.normalise(x)
        if self._size is None:
            return x
        x = F.avg_pool2d(x, self._whole) if max(self._whole) > 1 else x
        return F.interpolate(x, size=self._size, mode="bilinear")
