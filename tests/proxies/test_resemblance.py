"""DisWOT, its parts and the other proxies that compare a student with the teacher: their own numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from autokd import spec
from autokd.errors import ComponentError
from autokd.networks.models import NetworkTeacher, as_output
from autokd.proxies._at_zero import attention_distance
from autokd.proxies._few_steps import split_of
from autokd.proxies._teacher_probe import held_out_share
from autokd.proxies.resemblance import (
    Answers,
    channel_relation_term,
    classifier_gradient,
    divergence,
    relation_of,
    relation_term,
    semantic_of,
    semantic_term,
)
from autokd.proxies.untrained import gaussian_, scored, untrained_student
from autokd.testing.proxies import BATCH, teacher_of
from autokd.testing.proxies import screened as screen
from autokd.testing.proxies import student as build
from autokd.types import BuildContext, Output, ScreenInput, Shapes, Task

IMAGES = Task(dataset="none", modality="image", input_shape=(1, 8, 8), classes=tuple("abcde"), train_size=100)
TABLE = Task(dataset="none", modality="table", input_shape=(6,), classes=tuple("ab"), train_size=100)


def proxy(name: str, task: Task, **fields: Any) -> Callable[[ScreenInput], float]:
    context = BuildContext(task=task, teacher=teacher_of(task).offers)
    score: Callable[[ScreenInput], float] = spec.make("proxies", name, fields).build(context)
    return score


def outputs(seed: int, channels: int = 6, side: int = 4) -> Output:
    """Random features, pooled over their maps, under a random classifier of 5 classes."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(BATCH, channels, side, side, generator=generator).relu()
    weight = torch.randn(5, channels, generator=generator)
    pooled = features.mean((2, 3))
    return Output(pooled @ weight.T, (features,), pooled)


LABELS = torch.arange(BATCH) % 5


def test_a_student_equal_to_the_teacher_has_distance_zero() -> None:
    same = Answers(outputs(0), outputs(0))
    assert (relation_of(same), semantic_of(same, LABELS)) == (0.0, pytest.approx(0.0, abs=1e-12))
    assert relation_of(same, as_released=True) == 0.0
    other = Answers(outputs(0), outputs(1))
    assert relation_of(other) < -1e-6 and semantic_of(other, LABELS) < -0.01


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
    before, after = (Answers(teacher, each) for each in (student, permuted))
    assert relation_of(after) == pytest.approx(relation_of(before), rel=1e-5)
    assert abs(semantic_of(after, LABELS) - semantic_of(before, LABELS)) > 1e-3
    assert relation_of(after, as_released=True) != pytest.approx(relation_of(before, as_released=True), rel=1e-3)


def test_the_first_channels_count_of_a_wider_network() -> None:
    teacher, student = torch.randn(2, 7, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(semantic_term(teacher, student[:, :6]), semantic_term(teacher[:, :6], student[:, :6]))


def test_the_released_relation_is_between_the_channels_of_the_first_sample() -> None:
    teacher, student = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = relation_term(teacher[0].flatten(1), student[0].flatten(1))
    assert channel_relation_term(teacher, student) == expected != relation_term(teacher, student)
    assert channel_relation_term(teacher, student[:1, :2]) == channel_relation_term(teacher[:, :2], student[:, :2])


def terms_by_hand(given: ScreenInput, *, gaussian: bool = False) -> tuple[float, float]:
    assert given.teacher is not None
    network = untrained_student(given)
    if gaussian:
        gaussian_(network, given.seed)
    with torch.no_grad():
        both = Answers(given.teacher.predict(given.inputs), as_output(network(given.inputs)))
    return relation_of(both), semantic_of(both, given.labels)


def test_diswot_is_the_sum_of_its_parts() -> None:
    given = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=4))
    relation, semantic = terms_by_hand(given)
    assert proxy("diswot_relation", IMAGES)(given) == relation < 0
    assert proxy("diswot_semantic", IMAGES)(given) == semantic < -0.01
    assert proxy("diswot", IMAGES)(given) == relation + semantic
    other = dataclasses.replace(given, seed=4)
    assert proxy("diswot", IMAGES)(other) != relation + semantic


def test_diswot_with_gaussian_weights() -> None:
    given = screen(IMAGES, build(IMAGES, "resnet", depth=8, width=8))
    network = gaussian_(untrained_student(given), 0)
    state = network.state_dict()
    assert float(state["layer3.0.conv2.weight"].std()) == pytest.approx(1.0, abs=0.05)
    assert not state["fc.bias"].any()
    expected = terms_by_hand(given, gaussian=True)
    assert proxy("diswot", IMAGES, gaussian=True)(given) == pytest.approx(sum(expected))


def test_a_random_teacher_is_the_given_one_with_other_weights() -> None:
    builder = build(IMAGES, "resnet", depth=8, width=8)
    teacher = NetworkTeacher([builder(9)], IMAGES, origin="test")
    given = screen(IMAGES, builder, teacher)
    fields = {"gaussian": True, "random_teacher": True}
    assert proxy("diswot", IMAGES, **fields)(given) == pytest.approx(0.0, abs=1e-9)  # the same draw as the student's
    network = gaussian_(scored(builder(0)), given.seed)
    with torch.no_grad():
        both = Answers(as_output(network(given.inputs)), as_output(untrained_student(given)(given.inputs)))
    assert proxy("diswot_relation", IMAGES, random_teacher=True)(given) == pytest.approx(relation_of(both))
    pair = NetworkTeacher([builder(1), builder(2)], IMAGES, origin="a pair")
    with pytest.raises(ComponentError, match="a pair is no single network"):
        proxy("diswot", IMAGES, random_teacher=True)(screen(IMAGES, builder, pair))


def test_what_is_missing_is_said() -> None:
    for name in ("diswot", "diswot_relation", "at_zero"):
        with pytest.raises(ComponentError, match="this teacher offers none"):
            spec.make("proxies", name, {}).build(BuildContext(task=TABLE, teacher=Shapes()))
    with pytest.raises(ComponentError, match="this teacher offers no such embedding"):
        spec.make("proxies", "diswot_semantic", {}).build(BuildContext(task=TABLE, teacher=Shapes()))
    alone = dataclasses.replace(screen(TABLE, build(TABLE, "mlp")), teacher=None)
    for name in ("diswot", "kd_zero", "teacher_probe", "few_steps"):
        with pytest.raises(ComponentError, match="none was given"):
            proxy(name, TABLE)(alone)
    bare = screen(TABLE, lambda _seed: nn.Linear(6, 2))
    for name in ("diswot_relation", "teacher_probe"):
        with pytest.raises(ComponentError, match="this student offers none"):
            proxy(name, TABLE)(bare)


# --- losses, a probe, and a few steps --------------------------------------------------------------------------------


def test_divergence_by_hand() -> None:
    teacher = torch.tensor([[0.25, 0.75]]).log()
    expected = math.log(1 / 2) / 4 + 3 * math.log(3 / 2) / 4
    assert float(divergence(teacher, torch.zeros(1, 2), 1.0)) == pytest.approx(expected)
    assert float(divergence(2 * teacher, torch.zeros(1, 2), 2.0)) == pytest.approx(4 * expected)


def test_kd_zero_is_the_negative_loss_of_an_untrained_student() -> None:
    given = screen(IMAGES, build(IMAGES, "cnn", width=4))
    assert given.teacher is not None
    with torch.no_grad():
        student = untrained_student(given)(given.inputs).logits
    expected = -float(divergence(given.teacher.predict(given.inputs).logits, student, 4.0))
    assert proxy("kd_zero", IMAGES)(given) == pytest.approx(expected) and expected < 0


def test_attention_distance_by_hand() -> None:
    left, right = torch.tensor([[[[3.0, 0.0]]]]), torch.tensor([[[[0.0, 0.1]]]])
    assert float(attention_distance(left, right)) == pytest.approx(2.0)  # unit vectors at right angles
    assert float(attention_distance(left, 5 * left.repeat(1, 4, 1, 1))) == 0.0
    # averaged down to 1 x 2: squares 1, 1 | 0, 4 -> (1, 2) / sqrt 5 beside (1, 0)
    finer = torch.tensor([[[[1.0, 1.0, 0.0, 2.0]]]])
    assert float(attention_distance(left, finer)) == pytest.approx((1 - 1 / 5**0.5) ** 2 + 4 / 5)
    with pytest.raises(ComponentError, match="a single pixel"):
        attention_distance(left, left[..., :1])


def test_a_probe_finds_what_is_linear_and_nothing_in_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    features, noise = torch.randn(2, 64, 5, generator=generator)
    answers = features @ torch.randn(5, 3, generator=generator) + 2
    assert held_out_share(features, answers, 1e-3) > 0.99
    assert held_out_share(noise, answers, 0.1) < 0.2
    order = [3, 0, 4, 1, 2]
    assert held_out_share(7 * features[:, order], answers, 0.1) == pytest.approx(held_out_share(features, answers, 0.1))


def test_the_probe_prefers_a_student_that_is_the_teacher() -> None:
    builder = build(IMAGES, "cnn", width=8)
    given = screen(IMAGES, builder)
    more = [(torch.randn(BATCH, 1, 8, 8, generator=torch.Generator().manual_seed(i)), given.labels) for i in range(4)]
    same = dataclasses.replace(given, more=more, teacher=NetworkTeacher([builder(3)], IMAGES, origin="same"))
    score = proxy("teacher_probe", IMAGES)
    assert score(same) > score(dataclasses.replace(given, more=more))
    assert score(same) != score(dataclasses.replace(same, more=more[:2]))


def test_some_steps_bring_the_student_nearer_and_more_bring_it_nearer_still() -> None:
    given = screen(TABLE, build(TABLE, "mlp", width=16))
    teacher = NetworkTeacher([build(TABLE, "logistic_regression")(0)], TABLE, origin="linear")
    more = [(torch.randn(48, 6, generator=torch.Generator().manual_seed(1)), torch.zeros(48, dtype=torch.int64))]
    scores = [
        proxy("few_steps", TABLE, steps=steps)(dataclasses.replace(given, teacher=teacher, more=more))
        for steps in (10, 60)
    ]
    assert scores[0] < scores[1] < 0


def test_the_held_out_samples_train_nobody() -> None:
    train, held = split_of(torch.zeros(10, 6))
    assert (train.tolist(), held.tolist()) == ([0, 1, 2, 4, 5, 6, 8, 9], [3, 7])
    given = screen(TABLE, build(TABLE, "mlp", width=8))
    network, score = untrained_student(given), proxy("few_steps", TABLE, steps=10)
    score(dataclasses.replace(given, build=lambda _seed: network))
    trained = network.state_dict()["fc.weight"].clone()
    again = untrained_student(given)
    assert isinstance(given.inputs, Tensor)
    changed = given.inputs.clone()
    changed[3::4] += 1
    score(dataclasses.replace(given, build=lambda _seed: again, inputs=changed))
    assert torch.equal(again.state_dict()["fc.weight"], trained)
    assert not torch.equal(untrained_student(given).state_dict()["fc.weight"], trained)
