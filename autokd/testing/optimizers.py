"""What every optimizer must do."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autokd.networks.models import seeded
from autokd.testing.suite import Suite, task_of, values_of
from autokd.types import BuildContext

CONTEXT = BuildContext(task=task_of((3, 8, 8), classes=2))


class OptimizerSuite(Suite):
    """What every optimizer must do."""

    kind = "optimizers"

    def test_every_parameter_trains_at_the_learning_rate_and_weights_only_decay(self, component: Any) -> None:
        """The engine scales `lr` of every group; biases and normalisation must not decay."""
        model = network()
        optimizer = build(component, list(model.parameters()), learning_rate=0.012, weight_decay=0.003)
        groups = [(p, group) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(id(p) for p, _ in groups) == sorted(map(id, model.parameters()))
        wanted = values_of(component, learning_rate=0.012)
        for parameter, group in groups:
            assert group["lr"] == getattr(wanted, "learning_rate", group["lr"])
            assert parameter.ndim > 1 or not group.get("weight_decay"), "a bias or a normalisation decays"

    def test_follows_the_gradient(self, component: Any) -> None:
        parameter = nn.Parameter(torch.full((1, 1), 1.0, dtype=torch.float64))
        optimizer = build(component, [parameter])
        for _ in range(20):
            parameter.grad = 2 * parameter.detach()
            optimizer.step()
        assert parameter.isfinite().all() and parameter.item() < 1

    def test_a_group_of_rate_0_stands_still(self, component: Any) -> None:
        """At the end of a schedule the rate may be 0."""
        parameter = nn.Parameter(torch.ones(2, 2))
        optimizer = build(component, [parameter])
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        assert torch.equal(parameter, torch.ones(2, 2))

    def test_resumes_bit_for_bit_also_from_another_memory_layout(self, component: Any) -> None:
        """A checkpoint may bring the state of channels_last weights back contiguous."""
        assert torch.equal(_trained(component, interrupted=True), _trained(component, interrupted=False))


def build(component: type[Any], parameters: Any, **wanted: Any) -> Optimizer:
    """Return an optimizer of these parameters; wanted values of fields that it does not have are left out."""
    optimizer: Optimizer = values_of(component, **wanted).build(CONTEXT)(parameters)
    return optimizer


def network() -> nn.Sequential:
    """Return a small network with weights, biases and normalisation."""
    with seeded(0):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2)).eval()


def _trained(component: type[Any], *, interrupted: bool) -> Tensor:
    start = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    gradients = torch.randn(4, 8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    parameter = nn.Parameter(start.clone().contiguous(memory_format=torch.channels_last))
    optimizer = build(component, [parameter])
    for i, value in enumerate(gradients):
        parameter.grad = value.contiguous(memory_format=torch.channels_last)
        optimizer.step()
        if interrupted and i == 1:
            state = copy.deepcopy(optimizer.state_dict())
            for entry in state["state"].values():
                entry.update({key: value.contiguous() for key, value in entry.items() if _is_map(value)})
            optimizer = build(component, [parameter])
            optimizer.load_state_dict(state)
    return parameter.detach()


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4
