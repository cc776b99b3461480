"""Networks that, once they are trained, choose how they answer by what fits samples that they were not trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import Tensor

from autokd.types import Inputs


@runtime_checkable
class Settling(Protocol):
    """A network with something to choose after its training; what it chose is in its buffers."""

    def settle(self, inputs: Iterable[Inputs], labels: Tensor) -> None:
        """Choose, in eval mode.

        Args:
          inputs: of samples that it was not trained on, some at a time.
          labels: [N] int64 of all of them.
        """
