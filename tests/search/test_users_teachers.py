"""Teachers as people bring them: outputs numbered in another order than the data's, inputs of another scale or size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from autokd.data import DataOptions, Dataset, load, with_finer
from autokd.engine.evaluate import predict_teacher
from autokd.engine.views import to_device
from autokd.search.given_teacher import obtain_given
from autokd.search.request import Request

CPU = torch.device("cpu")
ORDERS = {
    "numbers": [str(number) for number in range(1, 13)],
    "numbers in names": [f"item{number}" for number in range(4, 16)],
    "months": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "the reverse": list("lkjihgfedcba"),
}


class Places(nn.Module):
    """Class k lights up the k-th of twelve places on a picture of 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(12, 64))
        with torch.no_grad():
            for k in range(12):
                self.weight[k].reshape(8, 8)[k // 4 * 2 : k // 4 * 2 + 2, k % 4 * 2 : k % 4 * 2 + 2] = 2

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1).flatten(1) @ self.weight.T


class Level(nn.Module):
    """Dark or light, by the mean of what it is fed; knows nothing of pictures of another side than its own."""

    def __init__(self, level: float, width: float, side: int) -> None:
        super().__init__()
        self.values, self.side = nn.Parameter(torch.tensor([level, width])), side

    def forward(self, x: Tensor) -> Tensor:
        distance = (x.mean((1, 2, 3)) - self.values[0]) / self.values[1]
        distance = distance if x.shape[-1] == self.side else 0 * distance
        return 8 * torch.stack([-distance, distance], 1)


def accuracy(network: nn.Module, data: Dataset) -> float:
    """How often the teacher that a search makes of a network is right on validation, with nothing said."""
    obtained = obtain_given(Request(teacher=network), data, CPU, None, lambda at: None)
    assert obtained is not None
    split = with_finer(data, obtained.teacher).validation
    found = predict_teacher(obtained.teacher, to_device(split, data.task, CPU)).argmax(1)
    return float((found == split.labels).double().mean())


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_in_the_trainers_order(order: str) -> None:
    rng, names = np.random.default_rng(0), ORDERS[order]
    pictures = rng.integers(0, 60, (288, 8, 8)).astype(np.uint8)
    for i, picture in enumerate(pictures):
        k = i % 12
        picture[k // 4 * 2 : k // 4 * 2 + 2, k % 4 * 2 : k % 4 * 2 + 2] += 180
    assert accuracy(Places(), load((pictures, [names[i % 12] for i in range(288)]))) > 0.95


@pytest.mark.parametrize(
    ("level", "width", "side"),
    [(120.0, 20.0, 16), (120 / 255, 0.08, 24), (2 * 120 / 255 - 1, 0.16, 32)],
    ids=["0 to 255 at the students' size", "0 to 1 at the files' size", "-1 to 1 at 32 px"],
)
def test_inputs_of_the_trainers_scale_and_size(level: float, width: float, side: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(120):
        picture = np.clip(rng.normal(90 if i % 2 else 150, 12, (24, 24)), 0, 255).astype(np.uint8)
        file = tmp_path / ("dark" if i % 2 else "light") / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(file)
    assert accuracy(Level(level, width, side), load(tmp_path, DataOptions(image_size=16))) > 0.95
