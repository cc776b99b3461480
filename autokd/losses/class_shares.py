"""How the labels of the training set are spread over the classes: what losses for rare classes prepare.

Shapes: C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autokd.errors import ComponentError
from autokd.types import BuildContext, PrepareContext


def class_shares(context: PrepareContext) -> Tensor:
    """Return the share of each class among the known labels, [C] float32; of one without labels, of half a sample."""
    labels = context.labels if context.labelled is None else context.labels[context.labelled]
    counts = torch.bincount(labels, minlength=context.task.num_classes).float().clamp_min(0.5)
    return counts / counts.sum()


def shares_of(context: BuildContext, name: str) -> Tensor:
    """Return the shares that a loss has prepared, [C].

    Raises:
      ComponentError: nothing was prepared.
    """
    if context.artefact is None:
        raise ComponentError(f"loss {name!r} needs what its `prepare` returns as context.artefact, and there is none")
    shares: Tensor = context.artefact["shares"]
    return shares
