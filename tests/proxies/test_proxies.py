"""Conformance of every proxy, then each proxy's own numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autokd import catalog, spec
from autokd.batching import single
from autokd.errors import ComponentError
from autokd.networks.models import NetworkTeacher, as_output
from autokd.proxies._diswot import (
    classifier_gradient,
    diswot_terms,
    gaussian_,
    relation_term,
    semantic_term,
)
from autokd.proxies._nwot import agreement, code_kernel, log_determinant
from autokd.proxies.untrained import untrained_student
from autokd.testing import ProxySuite
from autokd.testing.proxies import BATCH, teacher_of
from autokd.testing.proxies import screened as screen
from autokd.testing.proxies import student as build
from autokd.types import ANY, BuildContext, Output, ScreenInput, Shapes, Task

IMAGES = Task(dataset="none", modality="image", input_shape=(1, 8, 8), classes=tuple("abcde"), train_size=100)
TABLE = Task(dataset="none", modality="table", input_shape=(6,), classes=tuple("ab"), train_size=100)
NAMES = catalog.names("proxies")


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
    assert declares.needs_teacher is (name == "diswot")
    assert declares.higher_is_better is (name != "latency")
    assert declares.unit
    assert declares.modalities == ANY


@pytest.mark.parametrize("name", [name for name in NAMES if name != "latency"])
def test_tells_students_of_three_widths_apart(name: str) -> None:
    score = proxy(name, IMAGES)
    assert len({score(screen(IMAGES, build(IMAGES, "cnn", width=width))) for width in (4, 8, 12)}) == 3


def test_costs_are_those_of_the_student() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4, layers=2))
    assert proxy("params", IMAGES)(given) == 393.0  # 44 + 304 + 8 * 5 + 5
    assert proxy("macs", IMAGES)(given) == 4 * 9 * 64 + 8 * 4 * 9 * 16 + 40
    assert 0.0 < proxy("latency", IMAGES, repeats=5)(given) < 1000.0


def test_an_untrained_student_uses_batch_statistics_without_dropout() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4))
    first, scaled = (
        untrained_student(given, 0).get_submodule("layers.0")(inputs)
        for inputs in (single(given.inputs), 100 * single(given.inputs))
    )
    torch.testing.assert_close(first, scaled, rtol=1e-3, atol=1e-3)
    table = screen(TABLE, build(TABLE, "mlp", dropout=0.5))
    mlp = untrained_student(table, 0)
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


def test_nwot_averages_its_initialisations() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4))
    single = [log_determinant(code_kernel(untrained_student(given, seed), given.inputs)) for seed in (3, 4, 5)]
    assert proxy("nwot", IMAGES, seeds=3)(given) == pytest.approx(sum(single) / 3)
    assert proxy("nwot", IMAGES)(given) == single[0]


def test_nwot_removes_its_hooks() -> None:
    network = TwoUnits()
    code_kernel(network, torch.ones(2, 2))
    assert not network.first._forward_hooks


def test_nwot_refuses_a_student_whose_activations_it_cannot_see() -> None:
    with pytest.raises(ComponentError, match=r"nn\.ReLU modules"):
        proxy("nwot", TABLE)(screen(TABLE, lambda _seed: nn.Linear(6, 2)))


# --- diswot ----------------------------------------------------------------------------------------------------------


def outputs(seed: int, channels: int = 6, side: int = 4) -> Output:
    """Random features, pooled over their maps, under a random classifier of 5 classes."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(BATCH, channels, side, side, generator=generator).relu()
    weight = torch.randn(5, channels, generator=generator)
    pooled = features.mean((2, 3))
    return Output(pooled @ weight.T, (features,), pooled)


LABELS = torch.arange(BATCH) % 5


def test_a_student_equal_to_the_teacher_has_distance_zero() -> None:
    same = outputs(0)
    assert diswot_terms(same, same, LABELS) == (0.0, pytest.approx(0.0, abs=1e-12))
    other = diswot_terms(same, outputs(1), LABELS)
    assert other.relation < -1e-6
    assert other.semantic is not None and other.semantic < -0.01


def test_relation_term_by_hand() -> None:
    # Gram matrices I and [[1, 1], [1, 2]] (rows scaled by 1/sqrt 2 and 1/sqrt 5)
    teacher, student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    root2, root5 = math.sqrt(2), math.sqrt(5)
    squared = (1 - 1 / root2) ** 2 + 1 / 2 + 1 / 5 + (1 - 2 / root5) ** 2
    assert float(relation_term(teacher, student)) == pytest.approx(-squared / 4)


def test_relation_term_scales_rows_so_that_the_size_of_features_does_not_matter() -> None:
    teacher, student = outputs(0).features[0], outputs(1).features[0]
    torch.testing.assert_close(relation_term(teacher, student), relation_term(1e-6 * teacher, 1e3 * student))


def test_classifier_gradient_agrees_with_autograd() -> None:
    output = outputs(0)
    assert output.pooled is not None
    weight = torch.randn(5, 6, generator=torch.Generator().manual_seed(2), requires_grad=True)
    logits = output.pooled @ weight.T
    (expected,) = torch.autograd.grad(functional.cross_entropy(logits, LABELS), weight)
    torch.testing.assert_close(classifier_gradient(logits.detach(), output.pooled, LABELS), expected)


def explicit_semantic_term(teacher: Tensor, student: Tensor) -> Tensor:
    """The published formula with its D x D matrices."""
    first, second = (functional.normalize(g[:, :, None] * g[:, None, :], dim=2) for g in (teacher, student))
    return -(first - second).square().sum() / teacher.numel()


def test_semantic_term_agrees_with_the_explicit_outer_products() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(2, 7, 9, dtype=torch.float64, generator=generator)
    student[2, :4] = 0  # dead channels
    teacher[5] = 0  # a class that gets no gradient
    torch.testing.assert_close(semantic_term(teacher, student), explicit_semantic_term(teacher, student))


def test_semantic_distance_has_its_closed_form_without_zeros() -> None:
    # 2 - 2/K sum_k a_k cos_k with a_k = mean_i of the product of signs: one class, signs agree in 2 of 3 channels
    teacher, student = torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([[2.0, 1.0, -2.0]])
    assert float(semantic_term(teacher, student)) == pytest.approx(-(2 - 2 * (1 / 3) * 0.0))  # cosine 0
    student = torch.tensor([[2.0, 2.0, -1.0]])
    assert float(semantic_term(teacher, student)) == pytest.approx(-(2 - 2 * (1 / 3) * (4 / 9)))


def test_semantic_term_survives_the_tiny_gradients_of_a_trained_teacher() -> None:
    teacher, student = torch.randn(2, 7, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(semantic_term(1e-20 * teacher, student), semantic_term(teacher, student))


def test_permuting_the_students_channels_changes_the_semantic_term_only() -> None:
    teacher, student = outputs(0), outputs(1)
    order = [3, 0, 5, 1, 4, 2]
    assert student.pooled is not None
    permuted = Output(student.logits, (student.features[0][:, order],), student.pooled[:, order])
    before, after = (diswot_terms(teacher, each, LABELS) for each in (student, permuted))
    assert after.relation == pytest.approx(before.relation, rel=1e-5)
    assert abs(after.semantic - before.semantic) > 1e-3  # type: ignore[operator]


def test_semantic_term_needs_classifiers_of_one_width() -> None:
    terms = diswot_terms(outputs(0, channels=6), outputs(1, channels=8, side=2), LABELS)
    assert terms.semantic is None
    assert terms.present() == [terms.relation]


def diswot_by_hand(given: ScreenInput, seed: int, gaussian: bool = False) -> tuple[float, float]:
    assert given.teacher is not None
    network = untrained_student(given, seed)
    if gaussian:
        gaussian_(network, seed)
    with torch.no_grad():
        relation, semantic = diswot_terms(
            given.teacher.predict(given.inputs), as_output(network(given.inputs)), given.labels
        )
    assert semantic is not None
    return relation, semantic


def test_diswot_is_the_mean_of_its_seeds_and_adds_the_semantic_term_where_asked() -> None:
    given = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=8))
    terms = [diswot_by_hand(given, seed) for seed in (3, 4, 5)]
    relation, semantic = (sum(column) / 3 for column in zip(*terms, strict=True))
    assert proxy("diswot", IMAGES)(given) == pytest.approx(relation)
    assert proxy("diswot", IMAGES, semantic=True)(given) == pytest.approx(relation + semantic)
    assert semantic < -0.01
    narrow = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=4))
    assert proxy("diswot", IMAGES, semantic=True)(narrow) == proxy("diswot", IMAGES)(narrow)


def test_diswot_with_gaussian_weights() -> None:
    given = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=8))
    network = untrained_student(given, 0)
    gaussian_(network, 0)
    state = network.state_dict()
    assert float(state["layer3.0.conv2.weight"].std()) == pytest.approx(1.0, abs=0.05)
    assert not state["fc.bias"].any()
    expected = diswot_by_hand(given, 3, gaussian=True)
    assert proxy("diswot", IMAGES, semantic=True, gaussian=True, seeds=1)(given) == pytest.approx(sum(expected))


def test_diswot_prefers_a_student_initialised_like_its_teacher() -> None:
    builder = build(IMAGES, "resnet", depth=8, width=8)
    teacher = NetworkTeacher([builder(3)], IMAGES, origin="test")
    given = screen(IMAGES, builder, teacher)
    other = screen(IMAGES, builder, NetworkTeacher([builder(4)], IMAGES, origin="test"))
    score = proxy("diswot", IMAGES, semantic=True, seeds=1)
    assert score(given) > score(other)


def test_diswot_says_what_is_missing() -> None:
    with pytest.raises(ComponentError, match="this teacher offers none"):
        spec.make("proxies", "diswot", {}).build(BuildContext(task=TABLE, teacher=Shapes()))
    alone = ScreenInput(
        build=build(TABLE, "mlp"), task=TABLE, inputs=torch.zeros(2, 6), labels=torch.zeros(2).long(), teacher=None
    )
    with pytest.raises(ComponentError, match="none was given"):
        spec.make("proxies", "diswot", {}).build(BuildContext(task=TABLE))(alone)
