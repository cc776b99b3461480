"""The kind of input that a network takes, by its name."""

from __future__ import annotations

from typing import cast

from autokd import catalog
from autokd.input_kind import InputKind
from autokd.input_values import Feed
from autokd.types import BuildContext, Task


def kind_of(modality: str) -> InputKind:
    """Return a kind of input.

    Raises:
      ComponentError: there is none of this name.
    """
    return cast(InputKind, catalog.load("modalities", modality)())


def feed_of(task: Task) -> Feed:
    """Return how samples of a task get to a network.

    Raises:
      ComponentError: there is no such kind of input.
    """
    return kind_of(task.modality).build(BuildContext(task=task))
