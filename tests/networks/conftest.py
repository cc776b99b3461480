"""What the tests of teachers share: a small task, and checkpoints of networks with known random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import spec
from autokd.networks.models import seeded
from autokd.types import BuildContext, Task


@pytest.fixture
def task() -> Task:
    """Three classes of 3 x 16 x 16 images."""
    return Task(
        dataset="shapes",
        modality="image",
        input_shape=(3, 16, 16),
        classes=("disc", "ring", "star"),
        train_size=100,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def student(task: Task) -> Callable[..., nn.Module]:
    """Builds a student whose batch-norm statistics are not those of a fresh one."""

    def build(name: str, **fields: Any) -> nn.Module:
        with seeded(7):
            module = spec.make("students", name, fields).build(BuildContext(task=task))
            for key, buffer in module.named_buffers():
                if buffer.is_floating_point():
                    buffer.copy_(torch.rand(buffer.shape) + (0.5 if key.endswith("var") else 0.0))
        return module.eval()

    return build


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Saves anything with torch.save and returns the path."""

    def save(content: Any, name: str = "weights.pt") -> str:
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return save
