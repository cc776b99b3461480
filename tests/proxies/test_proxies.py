"""Conformance of every proxy, then each proxy's own numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog, spec
from autokd.batching import single
from autokd.errors import ComponentError
from autokd.proxies._nwot import agreement, code_kernel, log_determinant
from autokd.proxies.untrained import untrained_student
from autokd.testing import ProxySuite
from autokd.testing.proxies import screened as screen
from autokd.testing.proxies import student as build
from autokd.testing.proxies import teacher_of
from autokd.types import ANY, IMAGE, BuildContext, ScreenInput, Task

IMAGES = Task(dataset="none", modality="image", input_shape=(1, 8, 8), classes=tuple("abcde"), train_size=100)
TABLE = Task(dataset="none", modality="table", input_shape=(6,), classes=tuple("ab"), train_size=100)
NAMES = catalog.names("proxies")
WITH_TEACHER = {
    "at_zero",
    "diswot",
    "diswot_relation",
    "diswot_semantic",
    "few_steps",
    "kd_zero",
    "teacher_probe",
}


def proxy(name: str, task: Task, **fields: Any) -> Callable[[ScreenInput], float]:
    context = BuildContext(task=task, teacher=teacher_of(task).offers)
    score: Callable[[ScreenInput], float] = spec.make("proxies", name, fields).build(context)
    return score


class TestProxies(ProxySuite):
    components = tuple(catalog.load("proxies", name) for name in NAMES)
    measures = frozenset({"latency"})


@pytest.mark.parametrize("name", NAMES)
def test_declares_what_it_needs_and_which_way_is_up(name: str) -> None:
    declares = catalog.load("proxies", name).declares
    assert declares.needs_teacher is (name in WITH_TEACHER)
    assert declares.higher_is_better is (name != "latency")
    assert declares.unit
    assert declares.modalities == (IMAGE if name == "at_zero" else ANY)


def test_the_page_of_proxies_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| `{name}` | " not in page] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("latency", "depth")])
def test_tells_students_of_three_widths_apart(name: str) -> None:
    score = proxy(name, IMAGES, **({"steps": 10} if name == "few_steps" else {}))
    assert len({score(screen(IMAGES, build(IMAGES, "cnn", width=width))) for width in (4, 8, 12)}) == 3


def test_depth_counts_layers_with_weights() -> None:
    assert proxy("depth", IMAGES)(screen(IMAGES, build(IMAGES, "cnn", width=4, layers=2))) == 3.0
    # first convolution, three blocks of two, two projections, the classifier
    assert proxy("depth", IMAGES)(screen(IMAGES, build(IMAGES, "resnet", depth=8, width=4))) == 10.0


class DeadEnd(nn.Module):
    """Four weights that the answer depends on, 16 that get zeros alone, and nine of which nothing is made."""

    def __init__(self) -> None:
        super().__init__()
        self.live, self.starved, self.unread = nn.Linear(2, 2), nn.Linear(8, 2), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.live(x[:, :2]) + self.starved(torch.zeros(len(x), 8))
        return answer


def test_path_params_leave_out_what_the_answer_does_not_depend_on() -> None:
    assert proxy("path_params", TABLE)(screen(TABLE, lambda _seed: DeadEnd())) == 4.0


def test_costs_are_those_of_the_student() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4, layers=2))
    assert proxy("params", IMAGES)(given) == 393.0  # 44 + 304 + 8 * 5 + 5
    assert proxy("macs", IMAGES)(given) == 4 * 9 * 64 + 8 * 4 * 9 * 16 + 40
    assert 0.0 < proxy("latency", IMAGES, repeats=5)(given) < 1000.0


def test_an_untrained_student_uses_batch_statistics_without_dropout() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4))
    first, scaled = (
        untrained_student(given).get_submodule("layers.0")(inputs)
        for inputs in (single(given.inputs), 100 * single(given.inputs))
    )
    torch.testing.assert_close(first, scaled, rtol=1e-3, atol=1e-3)
    table = screen(TABLE, build(TABLE, "mlp", dropout=0.5))
    mlp = untrained_student(table)
    assert torch.equal(mlp(table.inputs).logits, mlp(table.inputs).logits)


# --- nwot ------------------------------------------------------------------------------------------------------------


class TwoUnits(nn.Module):
    """ReLU of the inputs themselves, then ReLU of their negative first column."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(-x[:, :1])


def test_code_kernel_and_its_log_determinant_by_hand() -> None:
    # codes of three samples, first layer | second: 11|0, 10|0, 01|1
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0], [-1.0, 1.0]])
    kernel = code_kernel(TwoUnits(), inputs)
    assert kernel.tolist() == [[3, 2, 1], [2, 3, 0], [1, 0, 3]]
    assert kernel.dtype == torch.float64
    assert log_determinant(kernel) == pytest.approx(math.log(12))  # 3*9 - 2*6 + 1*(-3)


def test_agreement_counts_units_that_are_active_in_both_or_in_neither() -> None:
    activation = torch.randn(7, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    code = activation.flatten(1) > 0
    assert torch.equal(agreement(activation), (code[:, None] == code).sum(2).double())


def test_agreement_is_units_minus_hamming_distance() -> None:
    activation = torch.tensor([[[0.5, 0.0], [1.0, 2.0]], [[0.0, 0.0], [0.1, 9.0]]])  # 1011 and 0011
    assert agreement(activation).tolist() == [[4, 3], [3, 4]]


def test_log_determinant_agrees_with_slogdet() -> None:
    factor = torch.randn(12, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = factor @ factor.T
    assert log_determinant(kernel) == pytest.approx(float(torch.linalg.slogdet(kernel).logabsdet), rel=1e-12)


def test_a_singular_kernel_scores_low_and_finite_the_lower_the_more_singular() -> None:
    full = torch.eye(4, dtype=torch.float64)
    one_short, two_short = (torch.diag(torch.tensor(d, dtype=torch.float64)) for d in ([0, 1, 1, 1], [0, 0, 1, 1]))
    scores = [log_determinant(kernel) for kernel in (two_short, one_short, full)]
    assert scores == [2 * scores[1], pytest.approx(math.log(4 * 2.0**-52)), 0.0]


def test_nwot_scores_one_initialisation() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4))
    scores = [proxy("nwot", IMAGES)(dataclasses.replace(given, seed=seed)) for seed in (3, 4)]
    expected = log_determinant(code_kernel(untrained_student(given), given.inputs))
    assert scores[0] == expected != scores[1]


def test_nwot_removes_its_hooks() -> None:
    network = TwoUnits()
    code_kernel(network, torch.ones(2, 2))
    assert not network.first._forward_hooks


def test_nwot_refuses_a_student_whose_activations_it_cannot_see() -> None:
    with pytest.raises(ComponentError, match=r"nn\.ReLU modules"):
        proxy("nwot", TABLE)(screen(TABLE, lambda _seed: nn.Linear(6, 2)))
