"""What every optimizer must do, and the known first steps of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autokd import catalog, spec
from autokd.networks.models import seeded
from autokd.optimizers.groups import decay_groups
from autokd.ranges import Real
from autokd.testing import OptimizerSuite
from autokd.types import ANY, BuildContext, Task

NAMES = catalog.names("optimizers")
CONTEXT = BuildContext(
    task=Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=("a", "b"), train_size=10)
)


def network() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2)).eval()


def built(name: str, parameters: Any, **values: Any) -> Optimizer:
    optimizer: Optimizer = catalog.load("optimizers", name)(**values).build(CONTEXT)(parameters)
    return optimizer


def steps(parameter: Tensor, optimizer: Optimizer, gradients: list[float]) -> list[float]:
    seen = []
    for value in gradients:
        parameter.grad = torch.full_like(parameter, value)
        optimizer.step()
        seen.append(parameter.flatten()[0].item())
    return seen


def weight(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.full((1, 1), value, dtype=torch.float64))


class TestOptimizers(OptimizerSuite):
    components = tuple(catalog.load("optimizers", name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_is_for_any_data_and_searches_rate_and_decay_on_a_log_scale(name: str) -> None:
    cls = catalog.load("optimizers", name)
    assert cls.declares.modalities == ANY
    assert cls.declares.tunes == ("learning_rate",)
    for field in ("learning_rate", "weight_decay"):
        span = spec.fields_of(cls)[field].range
        assert isinstance(span, Real) and span.log


@pytest.mark.parametrize("name", NAMES)
def test_starts_at_its_learning_rate_and_decays_weights_only(name: str) -> None:
    model = network()
    model(torch.zeros(1, 3, 8, 8))
    optimizer = built(name, list(model.parameters()), learning_rate=0.012, weight_decay=0.003)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {key: decay[id(p)] for key, p in model.named_parameters()} == {
        "0.weight": 0.003,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.003,
        "3.bias": 0.0,
    }
    assert [group["lr"] for group in optimizer.param_groups] == [0.012, 0.012]


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_without_gradient_shrinks_and_a_bias_does_not(name: str) -> None:
    matrix, bias = weight(), nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = built(name, [matrix, bias], learning_rate=0.1, weight_decay=0.01)
    for parameter in (matrix, bias):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert matrix.item() < 1
    assert bias.item() == 1


def test_sgd_first_steps() -> None:
    """By hand, g = 2: v = 2, w = 1 - 0.1 * (2 + 0.9 * 2); then v = 3.8, w -= 0.1 * (2 + 0.9 * 3.8)."""
    parameter = weight()
    optimizer = built("sgd", [parameter], learning_rate=0.1, weight_decay=0.0, momentum=0.9, nesterov=True)
    assert steps(parameter, optimizer, [2.0, 2.0]) == pytest.approx([0.62, 0.078], abs=1e-12)
    parameter = weight()
    optimizer = built("sgd", [parameter], learning_rate=0.1, weight_decay=0.5, momentum=0.9, nesterov=False)
    assert steps(parameter, optimizer, [2.0, 2.0]) == pytest.approx([0.75, 0.2875], abs=1e-12)


def test_adamw_first_steps() -> None:
    """By hand: a constant gradient moves by the learning rate, after the weight shrank by 1 - 0.1 * 0.5."""
    parameter = weight()
    optimizer = built("adamw", [parameter], learning_rate=0.1, weight_decay=0.5)
    assert steps(parameter, optimizer, [2.0, 2.0]) == pytest.approx([0.85, 0.7075], abs=1e-7)


def test_adamw_betas() -> None:
    """By hand, gradients 1 then 3 with both decays 0.5: m = 7/3, v = 19/3 after correction."""
    parameter = weight()
    optimizer = built("adamw", [parameter], learning_rate=0.1, weight_decay=0.0, beta1=0.5, beta2=0.5)
    assert steps(parameter, optimizer, [1.0, 3.0])[1] == pytest.approx(0.9 - 0.1 * 7 / 3 / (19 / 3) ** 0.5, abs=1e-7)


def test_groups_keep_their_own_settings_and_order() -> None:
    first, second, third = weight(), nn.Parameter(torch.ones(3)), weight()
    groups = decay_groups([{"params": [third], "lr": 0.5}, {"params": [first, second], "weight_decay": 0.7}])
    assert [group["params"] for group in groups] == [[third], [first], [second]]
    assert [group.get("lr") for group in groups] == [0.5, None, None]
    assert [group.get("weight_decay") for group in groups] == [None, 0.7, 0.0]


def test_frozen_parameters_are_left_out_and_none_at_all_is_an_error() -> None:
    frozen, trained = weight(), weight()
    frozen.requires_grad_(False)
    assert [group["params"] for group in decay_groups([frozen, trained])] == [[trained]]
    none: list[nn.Parameter] = []
    for nothing in (none, [frozen], iter(none)):
        with pytest.raises(ValueError, match="no parameters to train"):
            decay_groups(nothing)
