"""Proxies that read gradients, codes or spectra of an untrained student: their own numbers, worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autokd import spec
from autokd.errors import ComponentError
from autokd.networks.models import as_output
from autokd.proxies._fisher import channel_fisher, fisher
from autokd.proxies._grad_norm import grad_norm
from autokd.proxies._grasp import grasp
from autokd.proxies._jacob_cov import input_jacobian, spread_of_correlations
from autokd.proxies._snip import snip
from autokd.proxies._synflow import log_synflow
from autokd.proxies._zen import zen
from autokd.proxies._zico import zico
from autokd.proxies.blocks import block_outputs, blocks_of, spectral_entropy, trainability
from autokd.proxies.gradients import Weighted, loss_of, weight_gradients, weights_of
from autokd.proxies.untrained import untrained_student
from autokd.testing.proxies import screened as screen
from autokd.testing.proxies import student as build
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Output, ScreenInput, Task

IMAGES, TABLE = task_of((1, 8, 8)), task_of((2,), classes=2)
X = torch.tensor([[1.0, 2.0], [3.0, -1.0]])


def proxy(name: str, task: Task, **fields: Any) -> Callable[[ScreenInput], float]:
    score: Callable[[ScreenInput], float] = spec.make("proxies", name, fields).build(BuildContext(task=task))
    return score


def linear(*rows: list[float], bias: bool = False) -> nn.Linear:
    """A linear layer with these weights, [out, in]."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def test_weights_are_those_of_layers_and_get_zeros_where_the_loss_does_not_read_them() -> None:
    network = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 3), "norm": nn.BatchNorm1d(2)})
    network.forward = network["used"].forward
    assert weights_of(network) == [network["used"].weight, network["unused"].weight]
    used, unused = weight_gradients(network, X, torch.tensor([0, 1]))
    assert used.gradient.any() and torch.equal(unused.gradient, torch.zeros(3, 2))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_grad_norm_and_snip_by_hand() -> None:
    layers = [
        Weighted(torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])),
        Weighted(torch.tensor([[0.5]]), torch.tensor([[-2.0]])),
    ]
    assert grad_norm(layers) == 5.0 + 2.0
    assert snip(layers) == 3.0 + 8.0 + 1.0


def test_the_gradient_is_that_of_the_mean_cross_entropy() -> None:
    # logits 0: softmax 1/2; the gradient of class 0 is -1/2 x of its samples plus 1/2 x of the others, over B
    (layer,) = weight_gradients(linear([0.0, 0.0], [0.0, 0.0]), X, torch.tensor([0, 1]))
    expected = torch.stack([X[1] - X[0], X[0] - X[1]]) / 4
    torch.testing.assert_close(layer.gradient, expected)


def test_grasp_of_a_quadratic_is_its_hessian_between_weight_and_gradient() -> None:
    # L = θᵀAθ / 2: g = Aθ, H = A, so -θᵀ H g = -|Aθ|²
    theta = nn.Parameter(torch.tensor([[1.0], [2.0]]))
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    assert grasp((theta.T @ matrix @ theta).squeeze() / 2, [theta]) == pytest.approx(-(4.0**2 + 7.0**2))


def test_grasp_agrees_with_the_change_of_the_gradients_norm() -> None:
    """-θᵀHg is minus half the derivative of |g|² for a common scale of the weights."""
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    inputs, labels = X.double(), torch.tensor([0, 1])

    def squared(scale: float) -> float:
        scaled = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        scaled.load_state_dict({k: v * scale if v.ndim > 1 else v for k, v in network.state_dict().items()})
        return sum(float(layer.gradient.square().sum()) for layer in weight_gradients(scaled, inputs, labels))

    slope = (squared(1 + 1e-4) - squared(1 - 1e-4)) / 2e-4
    assert grasp(loss_of(network, inputs, labels), weights_of(network)) == pytest.approx(-slope / 2, rel=1e-4)


def test_channel_fisher_by_hand() -> None:
    # two samples, two channels of two places: sums 1*1 + 2*(-1) = -1 and 0; 3 and 4 -> (1 + 9)/4 and (0 + 16)/4
    activation = torch.tensor([[[1.0, 2.0], [0.0, 5.0]], [[3.0, 0.0], [2.0, 2.0]]])
    gradient = torch.tensor([[[1.0, -1.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert channel_fisher(activation, gradient, 1).tolist() == [2.5, 4.0]
    assert channel_fisher(activation.movedim(1, 2), gradient.movedim(1, 2), -1).tolist() == [2.5, 4.0]


def test_fisher_counts_each_channel_once_for_each_weight_and_survives_what_works_in_place() -> None:
    torch.manual_seed(0)
    convolution, classifier = nn.Conv2d(1, 2, 3, bias=False), nn.Linear(2, 5)
    network = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)
    inputs, labels = torch.randn(4, 1, 8, 8), torch.arange(4)
    maps = convolution(inputs)
    maps.retain_grad()
    logits = classifier(maps.relu().mean((2, 3)))
    logits.retain_grad()
    functional.cross_entropy(logits, labels).backward()
    expected = 9 * channel_fisher(maps.detach(), cast(Tensor, maps.grad), 1).sum()
    expected = expected + 2 * channel_fisher(logits.detach(), cast(Tensor, logits.grad), 1).sum()
    assert fisher(network, inputs, labels) == pytest.approx(float(expected), rel=1e-5)
    assert not convolution._forward_hooks
    with pytest.raises(ComponentError, match="calls none"):
        fisher(nn.Flatten(), torch.randn(2, 3), torch.tensor([0, 1]))


def test_synflow_of_two_layers_by_hand() -> None:
    # |W1| = [[1, 2]], |W2| = [[3], [4]], input of ones: R = 7 * 3 = 21, and each layer's weights carry all of it
    network = nn.Sequential(linear([1.0, -2.0]), nn.BatchNorm1d(1), nn.ReLU(), linear([-3.0], [4.0]))
    assert log_synflow(network, -5 * X[:1]) == pytest.approx(math.log(2 * 21))
    assert log_synflow(nn.Sequential(linear([0.0, 0.0]), linear([1.0])), X[:1]) == -math.inf


def test_synflow_does_not_overflow_and_reads_no_data() -> None:
    deep = nn.Sequential(*(linear([1e9] * 2, [1e9] * 2) for _ in range(20)))
    assert log_synflow(deep, X[:1]) == pytest.approx(20 * math.log(2e9) + math.log(2 * 20), rel=1e-6)
    given = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=4))
    score = proxy("synflow", IMAGES)
    assert score(given) == score(dataclasses.replace(given, inputs=torch.zeros(2, 1, 8, 8), labels=given.labels[:2]))


def test_spread_of_correlations_by_hand() -> None:
    # uncorrelated rows have eigenvalues 1, 1; equal ones 2, 0
    apart, alike = (
        torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]),
        torch.tensor([[1.0, 2.0], [3.0, 5.0]]),
    )
    k = 1e-5
    assert spread_of_correlations(apart) == pytest.approx(-2 * (math.log(1 + k) + 1 / (1 + k)))
    expected = -(math.log(2 + k) + 1 / (2 + k) + math.log(k) + 1 / k)
    assert spread_of_correlations(alike) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(spread_of_correlations(torch.tensor([[1.0, 1.0], [1.0, 2.0]])))


def test_input_jacobian_is_the_gradient_of_each_samples_logits() -> None:
    network = linear([1.0, 2.0], [3.0, -5.0])
    assert input_jacobian(network, X).tolist() == [[4.0, -3.0]] * 2
    assert X.grad is None and not X.requires_grad
    with pytest.raises(ComponentError, match="no such numbers"):
        input_jacobian(nn.Embedding(3, 2), torch.tensor([0, 1]))


def test_zico_by_hand_leaves_out_what_does_not_vary() -> None:
    # weights with gradients (1, 3), (2, 2), (-1, -5): mean |g| 2, 3 over std 1, 2; the middle one does not vary
    first, still = torch.tensor([[1.0, 2.0, -1.0], [3.0, 2.0, -5.0]]), torch.ones(2, 4)
    assert zico([first, still]) == pytest.approx(math.log(2 / 1 + 3 / 2))


def test_zico_compares_parts_of_the_batch() -> None:
    given = screen(TABLE, build(TABLE, "mlp", width=16))
    network = untrained_student(given)
    assert isinstance(given.inputs, Tensor)
    halves = [weight_gradients(network, given.inputs[i : i + 8], given.labels[i : i + 8]) for i in (0, 8)]
    expected = zico([torch.stack([a.gradient, b.gradient]) for a, b in zip(*halves, strict=True)])
    assert proxy("zico", TABLE)(given) == expected
    with pytest.raises(ComponentError, match="8 parts of 8"):
        proxy("zico", TABLE, parts=8)(dataclasses.replace(given, labels=given.labels[:8]))


class Scaled(nn.Module):
    """A feature that is the input times a factor, normalised or not."""

    def __init__(self, factor: float, norm: nn.Module) -> None:
        super().__init__()
        self.factor, self.norm = factor, norm

    def forward(self, x: Tensor) -> Output:
        feature = self.norm(self.factor * x)
        return Output(feature, (feature,))


def test_zen_by_hand_and_blind_to_the_scale_that_a_normalisation_takes_away() -> None:
    inputs, changed = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 1.0], [3.0, 2.0]])
    assert zen(Scaled(2.0, nn.Identity()), inputs, changed) == pytest.approx(math.log((2 * 1 + 2 * 3) / 2))
    torch.manual_seed(0)
    x = torch.randn(256, 4)
    near = x + 0.01 * torch.randn(256, 4)
    plain, normed = (zen(Scaled(3.0, norm), x, near) for norm in (nn.Identity(), nn.BatchNorm1d(4).train()))
    assert normed == pytest.approx(plain, abs=0.03)  # the change shrinks by σ, and log σ is added back
    dead = zen(nn.Sequential(nn.BatchNorm1d(2), Scaled(1.0, nn.Identity())).train(), 0 * x[:, :2], 0 * x[:, :2])
    assert dead == -math.inf  # nothing changes; the normalisation of zeros adds nothing


def test_blocks_are_what_stands_in_a_sequence_and_else_the_features() -> None:
    given = screen(IMAGES, build(IMAGES, "resnet", depth=14, width=4))
    network = untrained_student(given)
    assert [type(block).__name__ for block in blocks_of(network)] == ["_BasicBlock"] * 6
    assert [tuple(each.shape[1:]) for each in block_outputs(network, given.inputs)][::2] == [
        (4, 8, 8),
        (8, 4, 4),
        (16, 2, 2),
    ]
    plain = untrained_student(screen(IMAGES, build(IMAGES, "cnn", width=4)))
    maps = block_outputs(plain, given.inputs)
    assert all(map(torch.equal, maps, as_output(plain(given.inputs)).features))
    with pytest.raises(ComponentError, match="shows 1"):
        block_outputs(untrained_student(screen(IMAGES, build(IMAGES, "cnn", layers=1))), given.inputs)


def test_spectral_entropy_by_hand() -> None:
    # covariance diag(4, 1, 1), shares 2/3, 1/6, 1/6
    rows = torch.tensor([[2.0, 1.0, 1.0], [2.0, -1.0, -1.0], [-2.0, 1.0, -1.0], [-2.0, -1.0, 1.0]])
    expected = -(2 / 3 * math.log(2 / 3) + 2 * (1 / 6) * math.log(1 / 6))
    assert spectral_entropy(rows) == pytest.approx(expected, abs=1e-6)
    maps = rows.T.reshape(1, 3, 2, 2)
    assert spectral_entropy(maps) == pytest.approx(expected, abs=1e-6)
    assert math.isnan(spectral_entropy(torch.ones(4, 3)))


def test_trainability_of_scalings() -> None:
    """A block that scales by s has the Jacobian s·I, estimated with an error that falls with the number of places."""
    before = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    generator = torch.Generator().manual_seed(1)
    for factor in (0.5, 1.001, 2.0):
        expected = 2 - factor - 1 / factor
        assert trainability(before, factor * before, generator) == pytest.approx(expected, abs=0.05)
    assert trainability(before, 1.0 * before, generator) == -math.inf
    assert trainability(before, torch.zeros(64, 3, 8, 8), generator) < -1e5  # it does not depend on its input


def test_trainability_of_a_stride_on_an_odd_side() -> None:
    before = torch.randn(8, 2, 5, 5).requires_grad_()
    after = before[:, :, ::2, ::2]
    assert math.isfinite(trainability(before, after, torch.Generator().manual_seed(0)))
