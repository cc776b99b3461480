"""What a training step keeps, from shapes alone."""

from __future__ import annotations

import torch
from torch import nn

from autokd.networks.step_memory import kept_bytes
from autokd.types import BuildContext, Task


class Perceptron:
    """A student whose activations can be counted by hand."""

    def build(self, context: BuildContext) -> nn.Module:
        assert next(nn.Linear(1, 1).parameters()).is_meta
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU(), nn.Linear(3, 2))


def test_each_kept_activation_counts_once_and_no_weight() -> None:
    task = Task(dataset="dots", modality="image", input_shape=(1, 4, 4), classes=("a", "b"), train_size=8)
    # the 16 pixels of the first layer, and the 3 values behind ReLU, which both ReLU and the last layer need
    assert kept_bytes(Perceptron(), task) == 4 * (16 + 3)  # type: ignore[arg-type]
    assert torch.nn.Linear(1, 1).weight.device.type == "cpu"
